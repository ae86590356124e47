#!/bin/sh
# Creates the namespace TEMPORAL_NAMESPACE with RETENTION, and ends when Temporal serves it. An existing namespace is
# left as it is: somebody may have changed its retention.
set -eu
: "${TEMPORAL_ADDRESS:?}" "${TEMPORAL_NAMESPACE:?}" "${RETENTION:?}"

# A new namespace is served after some seconds only, when the frontend has read it. A worker that starts before fails.
is_served() { temporal workflow list --limit 1 >/dev/null 2>&1; }

seconds=0
until is_served; do
  # Fails while Temporal is not up, and once the namespace exists.
  answer=$(temporal operator namespace create -n "$TEMPORAL_NAMESPACE" --retention "$RETENTION" 2>&1) || true
  if [ "$seconds" -ge 120 ]; then
    echo "The namespace $TEMPORAL_NAMESPACE is not served by $TEMPORAL_ADDRESS after two minutes. The last answer: $answer" >&2
    exit 1
  fi
  sleep 2
  seconds=$((seconds + 2))
done
temporal operator namespace describe -n "$TEMPORAL_NAMESPACE" | grep -i -E 'name|retention|state'
