// SPDX-License-Identifier: Apache-2.0
//
// What JSON.parse and a compiled ajv cost together, in nanoseconds of processor time a payload: the lines of schema_bench, over the same
// payloads; the best of many short turns.
//
// usage: node ajv.js DIRECTORY [milliseconds]   (the directory of build/schemas.sh)
'use strict';
const fs = require('fs');
const path = require('path');
const dir = path.resolve(process.argv[2]);
const milliseconds = +(process.argv[3] || 1000);
const from = require('module').createRequire(path.join(dir, 'package.json'));
const Ajv = from('ajv');

const schemas = {};
function schema(name) {
  if (!schemas[name]) {
    const engine = new Ajv({ strict: false, logger: false, validateFormats: false });
    schemas[name] = engine.compile(JSON.parse(fs.readFileSync(path.join(dir, name + '.json'), 'utf8')));
  }
  return schemas[name];
}

const jobs = [];
for (const line of fs.readFileSync(path.join(dir, 'verdicts.jsonl'), 'utf8').split('\n')) {
  if (!line) continue;
  const { payload, example, verdicts } = JSON.parse(line);
  const own = verdicts.find(v => v[0].startsWith('07-') && v[0] !== '07-all' && !v[1]);
  if (example && own && own[2]) jobs.push({ text: payload, name: own[0], bytes: Buffer.byteLength(payload) });
}

function measure(what, list, name) {
  const work = list.map(j => ({ text: j.text, check: schema(name || j.name) })).filter(j => j.check(JSON.parse(j.text)));
  if (!work.length) return;
  const times = Math.max(1, Math.floor(500 / work.length));
  let best = Infinity;
  const end = Date.now() + milliseconds;
  do {
    const begin = process.cpuUsage();
    for (let i = 0; i < times; i++) for (const j of work) if (!j.check(JSON.parse(j.text))) throw new Error(what);
    const used = process.cpuUsage(begin);
    best = Math.min(best, (used.user + used.system) * 1000 / times / work.length);
  } while (Date.now() < end);
  const bytes = Math.round(list.reduce((n, j) => n + j.bytes, 0) / list.length);
  console.log(`${what} ${work.length} ${bytes} ${best.toFixed(0)}`);
}

const push = jobs.filter(j => j.name === '07-push').slice(0, 1);
measure('push', push);
measure('stream', jobs);
measure('union', jobs, '07-all');
measure('push-union', push, '07-all');
