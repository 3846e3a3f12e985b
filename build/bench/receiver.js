// A plain Node receiver for the benchmark: the same signature check, no durability.
'use strict';
const http = require('http');
const crypto = require('crypto');
const [port, secret] = [Number(process.argv[2]), process.argv[3]];

http.createServer((req, res) => {
  const chunks = [];
  req.on('data', (c) => chunks.push(c));
  req.on('end', () => {
    const want = crypto.createHmac('sha256', secret).update(Buffer.concat(chunks)).digest();
    const got = /^sha256=([0-9a-f]{64})$/.exec(req.headers['x-hub-signature-256'] || '');
    const ok = got && crypto.timingSafeEqual(Buffer.from(got[1], 'hex'), want);
    res.writeHead(ok ? 202 : 401, { 'Content-Type': 'application/json' });
    res.end(ok ? '{"ok":true}' : '{"ok":false}');
  });
}).listen(port, '127.0.0.1');
