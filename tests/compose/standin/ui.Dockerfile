# temporalio/ui, with the start script of the module github.com/temporalio/ui-server.
FROM reimage-stand-in/busybox
WORKDIR /home/ui-server
COPY . /
EXPOSE 8080
USER temporal
ENTRYPOINT ["./start-ui-server.sh"]
