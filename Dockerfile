# The worker and the command line in one small image. It runs the worker; `reimage` is on the path too.
# There is no repository in the build, so the build arguments say what is built: make image fills them in.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
ARG COMMIT=
ARG DATE=
RUN CGO_ENABLED=0 go build -trimpath -o /out/ \
    -ldflags "-X github.com/reimage/reimage/internal/buildinfo.version=$VERSION -X github.com/reimage/reimage/internal/buildinfo.commit=$COMMIT -X github.com/reimage/reimage/internal/buildinfo.date=$DATE" \
    ./starter ./worker \
 && mv /out/starter /out/reimage && mv /out/worker /out/reimage-worker

FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=
ARG COMMIT=
ARG DATE=
LABEL org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$COMMIT \
      org.opencontainers.image.created=$DATE
COPY --from=build /out/ /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/reimage-worker"]
