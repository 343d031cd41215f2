//! The `ipa` binary.

fn main() -> std::process::ExitCode {
    ipa::cli::main()
}
