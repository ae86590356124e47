# The worker and the command line in one small image. It runs the worker; `reimage` is on the path too.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -o /out/ ./starter ./worker \
 && mv /out/starter /out/reimage && mv /out/worker /out/reimage-worker

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/ /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/reimage-worker"]
