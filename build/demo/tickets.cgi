#!/bin/sh
# The demonstration's API: keeps the request's webhook headers and body.
set -eu
{
    printf 'delivery=%s attempt=%s event=%s\n' "${HTTP_X_DELIVERY_ID:-}" "${HTTP_X_DELIVERY_ATTEMPT:-}" "${HTTP_X_DELIVERY_EVENT:-}"
    head -c "${CONTENT_LENGTH:-0}"
    echo
} >>"$DEMO_OUT/tickets.log"
printf 'Content-Type: application/json\r\n\r\n{"ticket":"made"}\n'
