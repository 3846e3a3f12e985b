#!/bin/sh
# The demonstration's program: gets the delivery's facts in WEBHOOK_* variables and the body, as it was received, on standard input.
set -eu
out=$1
body=$(cat)
printf '%s delivery=%s attempt=%s event=%s bytes=%s\n' "$WEBHOOK_RECEIVED" "$WEBHOOK_ID" "$WEBHOOK_ATTEMPT" "$WEBHOOK_EVENT" "${#body}" \
    >>"$out/deploy.log"
echo "deployed"
