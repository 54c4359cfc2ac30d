# One recipe for every service:  docker build --build-arg SERVICE=orders -t ticketing/orders .
#
# Dependencies are compiled into a cache that is kept between builds (BuildKit's cache mounts): an edit compiles one service. Only
# that service's folder and the shared crates are copied, so editing one service rebuilds one image.

ARG RUST_IMAGE=rust:1.95-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot@sha256:9dac0a79194e45a7da0158a9c6da57b217585af0786db3845d1f0ec1a0dd182f

FROM ${RUST_IMAGE} AS build
# cargo auditable writes the list of dependencies into the binary, where scanners of images find it.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo install --locked --version 0.7.7 cargo-auditable
WORKDIR /ticketing
ARG SERVICE
# The folder of a program that isn't a service: --build-arg SERVICE=stripe-double --build-arg FOLDER=crates/stripe-double
ARG FOLDER=services/${SERVICE}
# The workspace in the image has only the shared crates and this service.
COPY Cargo.toml Cargo.lock ./
COPY crates/ crates/
COPY ${FOLDER}/ ${FOLDER}/
# A pattern of workspace members that matches nothing is an error in cargo: without a service, it is removed.
RUN test -d services || sed --in-place 's|, "services/\*"||' Cargo.toml
# The profile `edit` builds faster and a larger program (Cargo.toml).
ARG PROFILE=release
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/ticketing/target,sharing=locked \
    cargo auditable build --profile "${PROFILE}" --bin "${SERVICE}" \
    && install -D --target-directory=/out/usr/local/bin "target/${PROFILE}/${SERVICE}" \
    && ln -s "/usr/local/bin/${SERVICE}" /out/service

FROM ${RUNTIME_IMAGE}
# The program under its own name, for admin commands, and under a name that is the same in every image.
COPY --from=build /out/ /
# Memory that a thread has freed stays with its arena: few arenas, not eight per processor of the machine.
ENV MALLOC_ARENA_MAX=2
USER 65532:65532
# The API, and the admin port.
EXPOSE 3000 9000
ENTRYPOINT ["/service"]
ARG SERVICE
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="ticketing/${SERVICE}" \
      org.opencontainers.image.description="A service of Ticketing, a ticket marketplace" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="MIT"
