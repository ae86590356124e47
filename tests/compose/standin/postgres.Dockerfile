# postgres:16, with the PostgreSQL of Debian.
FROM reimage-stand-in/debian
ENV PGDATA=/var/lib/postgresql/data LANG=C.UTF-8
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox --install -s /bin 2>/dev/null; \
  echo root:x:0:0:root:/root:/bin/sh >/etc/passwd && echo postgres:x:999:999::/var/lib/postgresql:/bin/sh >>/etc/passwd && \
  echo root:x:0: >/etc/group && echo postgres:x:999: >>/etc/group && \
  mkdir -p /tmp /run/postgresql $PGDATA && ln -s /run /var/run && chmod 1777 /tmp && chown -R 999:999 /run/postgresql /var/lib/postgresql && \
  for program in /usr/lib/postgresql/*/bin/*; do ln -sf $program /usr/bin/; done"]
COPY entrypoint.sh /usr/local/bin/docker-entrypoint.sh
VOLUME /var/lib/postgresql/data
EXPOSE 5432
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
