# What the images of Temporal have of Alpine: busybox, a user temporal, getent, certificates.
FROM scratch
COPY . /
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox mkdir -p /usr/bin /usr/sbin /sbin /etc /root && /bin/busybox --install -s && \
  mkdir -p -m 1777 /tmp && \
  echo root:x:0:0:root:/root:/bin/sh >/etc/passwd && echo temporal:x:1000:1000::/home/temporal:/bin/sh >>/etc/passwd && \
  echo root:x:0: >/etc/group && echo temporal:x:1000: >>/etc/group && \
  mkdir -p /home/temporal && chown 1000:1000 /home/temporal"]
