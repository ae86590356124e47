# temporalio/admin-tools: temporal-sql-tool and the schema of the module go.temporal.io/server, and a temporal command.
FROM reimage-stand-in/busybox
COPY . /
USER temporal
CMD ["sh", "-c", "trap exit INT HUP TERM; sleep infinity"]
