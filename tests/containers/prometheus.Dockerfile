# The distribution's Prometheus with the public image's layout, for tests where no registry is reachable.
ARG BASE=debian:trixie-slim
FROM ${BASE}
RUN apt-get update -q && \
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends prometheus && \
    install -d -o 65534 -g 65534 /prometheus
