// SPDX-License-Identifier: Apache-2.0
//
// What JSON.parse costs, in nanoseconds a byte: the best of many short turns for each file named.
'use strict';
const fs = require('fs');
const path = require('path');

const milliseconds = 300;
for (const file of process.argv.slice(2)) {
  const bytes = fs.readFileSync(file);
  const text = bytes.toString('utf8');
  const times = Math.floor(500000 / bytes.length) + 1;
  const end = Date.now() + milliseconds;
  let best = Infinity;
  do {
    const begin = process.hrtime.bigint();
    for (let i = 0; i < times; i++) JSON.parse(text);
    best = Math.min(best, Number(process.hrtime.bigint() - begin) / times / bytes.length);
  } while (Date.now() < end);
  console.log(`${path.basename(file, '.json')} ${bytes.length} ${best.toFixed(3)}`);
}
