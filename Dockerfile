# One node. Built with Docker, Podman or Buildah:  docker build -t chat-node .

FROM rust:1-bookworm AS build
WORKDIR /build

# The dependencies alone, built against empty sources: this layer is kept until a manifest changes.
COPY Cargo.toml Cargo.lock ./
COPY protocol/Cargo.toml protocol/
COPY client/Cargo.toml client/
COPY node/Cargo.toml node/
COPY cli/Cargo.toml cli/
COPY xtask/Cargo.toml xtask/
RUN for member in protocol client node cli; do mkdir $member/src && touch $member/src/lib.rs; done \
    && for member in node cli xtask; do mkdir -p $member/src && echo 'fn main() {}' > $member/src/main.rs; done \
    && cargo build --release --locked --package chat-node

# The sources get the time of this build, or cargo would take the empty ones for newer.
COPY protocol protocol
COPY client client
COPY node node
RUN find protocol client node -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --package chat-node \
    && mkdir /empty


# No shell, no package manager; user 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/release/chat-node /usr/local/bin/chat-node
# Without a volume the development certificates live and die with the container.
COPY --from=build --chown=65532:65532 /empty /certs
ENV CHAT_LISTEN=0.0.0.0:8081 CHAT_CERTS=/certs
EXPOSE 8081/udp
USER 65532:65532
HEALTHCHECK --interval=5s --timeout=5s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/chat-node", "health", "127.0.0.1:8081"]
ENTRYPOINT ["/usr/local/bin/chat-node"]
CMD ["serve"]
