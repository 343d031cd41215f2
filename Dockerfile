# Multi-stage, non-root, no shell in the image that runs. Build with: docker build -t ipa:0.1.0 .
FROM docker.io/library/rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc g++ cmake make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# Dependencies first, so that a change of our own code does not build them again.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src benches tests/testbed && echo 'fn main() {}' | tee src/main.rs benches/tick.rs tests/main.rs tests/testbed/example.rs > /dev/null \
    && touch src/lib.rs && cargo build --release --locked --bin ipa && rm -rf src benches tests
COPY src src
COPY benches benches
COPY tests tests
COPY prompts prompts
COPY tools tools
COPY deploy deploy
RUN touch src/lib.rs src/main.rs && cargo build --release --locked --bin ipa

# glibc and CA certificates, nothing else; user 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/ipa /usr/local/bin/ipa
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/ipa"]
CMD ["run"]
