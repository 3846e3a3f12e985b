// SPDX-License-Identifier: Apache-2.0
//
// GitHub's own schemas and example payloads, mutants of these, and what ajv says of each: the truth for test_schema_github.c.
// Draft-07 schemas are @octokit/webhooks-schemas, a schema per event and the union of all; 2020-12 ones are @octokit/openapi-webhooks,
// one per event and action. Seeded: the same packages give the same file.
//
// usage: node github_verdicts.js DIRECTORY   (with node_modules in it; build/schemas.sh)
'use strict';
const fs = require('fs');
const path = require('path');
const dir = path.resolve(process.argv[2]);
const from = require('module').createRequire(path.join(dir, 'package.json'));
const Ajv = from('ajv');
const Ajv2020 = from('ajv/dist/2020');
const formats = from('ajv-formats');
const octokit = from('@octokit/webhooks-schemas/schema.json');
const examples = from('@octokit/webhooks-examples/api.github.com/index.json');
const openapi = from('@octokit/openapi-webhooks/generated/api.github.com.json');

let state = 0x2545f491;
function random(n) {
    state ^= state << 13; state ^= state >>> 17; state ^= state << 5; state >>>= 0;
    return state % n;
}

// What a schema needs of the definitions below `root`, so that each file holds no more than that.
function closure(schema, root, pick) {
    const found = {};
    const walk = v => {
        if (Array.isArray(v)) return v.forEach(walk);
        if (!v || typeof v !== 'object') return;
        if (typeof v.$ref === 'string' && v.$ref.startsWith(root)) {
            const name = v.$ref.slice(root.length);
            if (!(name in found)) { found[name] = pick(name); walk(found[name]); }
        }
        Object.values(v).forEach(walk);
    };
    walk(schema);
    return found;
}

// ajv compiles what schemas share only once when they are places of one document; the files written are each complete.
const schemas = {}; // name → {file, plain, strict}
const options = { strict: false, logger: false, allErrors: false };
function engines(Engine, id, document) {
    const withFormats = new Engine(options);
    formats(withFormats);
    return [new Engine({ ...options, validateFormats: false }), withFormats].map(e => {
        e.addSchema({ ...document, $id: id });
        return ref => e.compile({ $ref: id + ref });
    });
}
function add(name, file, [plain, strict], ref) {
    schemas[name] = { file, plain: plain(ref), strict: strict(ref) };
}

const ajv07 = engines(Ajv, 'https://example.org/07', octokit);
for (const definition of Object.keys(octokit.definitions).filter(n => /[_$]event$/.test(n))) {
    const schema = { $ref: '#/definitions/' + definition };
    add('07-' + definition.slice(0, -6), { $schema: octokit.$schema, allOf: [schema],
        definitions: closure(schema, '#/definitions/', n => octokit.definitions[n]) }, ajv07, '#/definitions/' + definition);
}
add('07-all', octokit, ajv07, '#');

function name2020(event, payload) {
    const base = event.replace(/_/g, '-');
    const full = typeof payload.action === 'string' ? base + '-' + payload.action.replace(/_/g, '-') : base;
    return openapi.webhooks[full] ? full : base;
}
const bodies = {};
for (const [name, { post }] of Object.entries(openapi.webhooks)) bodies[name] = post.requestBody.content['application/json'].schema;
const ajv20 = engines(Ajv2020, 'https://example.org/20', { components: openapi.components, $defs: bodies });
for (const name of new Set(examples.flatMap(e => e.examples.map(p => name2020(e.name, p))))) {
    if (!bodies[name]) continue;
    add('20-' + name, { $schema: 'https://json-schema.org/draft/2020-12/schema', allOf: [bodies[name]],
        components: { schemas: closure(bodies[name], '#/components/schemas/', n => openapi.components.schemas[n]) } }, ajv20, '#/$defs/' + name);
}

// ---- mutants: one change each, at a place chosen at random ----

function places(v, out, holder, key) {
    if (holder) out.push([holder, key]);
    if (v && typeof v === 'object') for (const k of Object.keys(v)) places(v[k], out, v, k);
    return out;
}
const raw = text => '@raw:' + text + '@'; // becomes JSON text as it stands: numbers JavaScript would not write like that
const scalars = [null, true, false, 0, -1, 5, '', 'x', 'a b', [], {}, [null], { a: 1 }, raw('5.0'), raw('5e0'), raw('5.5'), raw('1E2'),
    raw('123456789012345678901234567890'), raw('-0'), raw('0.1e1'), raw('9007199254740993')];
const texts = ['', 'nope', 'http://', 'https://example.com/a b', 'https://example.com/{owner}', 'https://example.com/{', '2020-13-01T00:00:00Z',
    '2020-02-30T00:00:00Z', '2020-02-29T10:20:30Z', '2020-02-29', '2020-02-29T10:20:30', '\u00e9\u{1F600}', 'x'.repeat(300), 'created', 'deleted'];
const kinds = [
    (h, k) => { if (Array.isArray(h)) h.splice(+k, 1); else delete h[k]; },
    (h, k) => { if (!Array.isArray(h)) delete h[k]; else h.push(h[k]); },
    (h, k) => { h[k] = scalars[random(scalars.length)]; },
    (h, k) => { h[k] = null; },
    (h, k) => { if (typeof h[k] === 'string') h[k] = texts[random(texts.length)]; else h[k] = String(h[k]); },
    (h, k) => { if (typeof h[k] === 'number') h[k] = raw(h[k] + ['.0', 'e0', '.5', 'E1', '.000'][random(5)]); else h[k] = [h[k]]; },
    (h, k) => { if (Array.isArray(h)) h.push(scalars[random(scalars.length)]); else h['added_' + random(10)] = h[k]; },
    (h, k) => { if (typeof h[k] === 'boolean') h[k] = !h[k]; else h[k] = { value: h[k] }; },
    (h, k) => { if (typeof h[k] === 'number') h[k] = -h[k]; else if (typeof h[k] === 'string') h[k] += 'x'; else h[k] = 1; },
];
function mutant(payload) {
    const copy = JSON.parse(JSON.stringify(payload));
    const all = places(copy, [], null, null);
    if (!all.length) return null;
    const top = all.filter(([h]) => h === copy);
    const [h, k] = random(3) ? all[random(all.length)] : top[random(top.length)];
    kinds[random(kinds.length)](h, k);
    return JSON.stringify(copy).replace(/"@raw:([^@]*)@"/g, '$1');
}

// ---- lines ----

const out = fs.createWriteStream(path.join(dir, 'verdicts.jsonl.new'));
let payloads = 0, lines = 0;
function judge(event, text, example) {
    const value = JSON.parse(text);
    const verdicts = [];
    for (const name of ['07-' + event, '20-' + name2020(event, value), ...(payloads % 8 ? [] : ['07-all'])]) {
        const s = schemas[name];
        if (!s) continue;
        verdicts.push([name, false, s.plain(value)], [name, true, s.strict(value)]);
    }
    if (!verdicts.length) return;
    payloads++;
    lines += verdicts.length;
    out.write(JSON.stringify({ payload: text, example, verdicts }) + '\n');
}
for (const event of examples) {
    for (const payload of event.examples) {
        judge(event.name, JSON.stringify(payload), true);
        for (let i = 0; i < 10; i++) {
            const text = mutant(payload);
            if (text !== null) judge(event.name, text, false);
        }
    }
}
for (const [name, s] of Object.entries(schemas)) fs.writeFileSync(path.join(dir, name + '.json'), JSON.stringify(s.file));
out.end(() => {
    fs.renameSync(path.join(dir, 'verdicts.jsonl.new'), path.join(dir, 'verdicts.jsonl'));
    console.log(`${Object.keys(schemas).length} schemas, ${payloads} payloads, ${lines} verdicts`);
});
