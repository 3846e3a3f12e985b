#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# GitHub's own schemas, example payloads and ajv, from npm, into BUILD/schemas; then mutants of the payloads and ajv's verdicts on all of
# them (verdicts.jsonl), which test_schema_github and the bench use. Nothing of it is part of the product or of its sources.
#
# usage: schemas.sh BUILD        exit 0 done (or there already), 77 not possible here
set -eu
dir=$1/schemas
[ ! -s "$dir/verdicts.jsonl" ] || exit 0
command -v node >/dev/null && command -v npm >/dev/null || { echo "schemas.sh: node or npm is missing; left out" >&2; exit 77; }
mkdir -p "$dir"
echo '{"private":true}' >"$dir/package.json"
if [ ! -d "$dir/node_modules/ajv-formats" ]; then
    npm install --prefix "$dir" --no-save --no-audit --no-fund --ignore-scripts --loglevel=error \
        @octokit/webhooks-schemas@7.6.1 @octokit/webhooks-examples@7.6.1 @octokit/openapi-webhooks@12.1.0 ajv@8.20.0 ajv-formats@3.0.1 \
        >"$dir/npm.log" 2>&1 || { cat "$dir/npm.log" >&2; echo "schemas.sh: npm cannot fetch the packages; left out" >&2; exit 77; }
fi
exec node "$(dirname "$0")/../t/unit/vectors/github_verdicts.js" "$dir"
