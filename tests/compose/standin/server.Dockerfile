# temporalio/server, with the entry point of the module go.temporal.io/server.
FROM reimage-stand-in/busybox
COPY . /
WORKDIR /etc/temporal
USER temporal
CMD ["/etc/temporal/entrypoint.sh"]
