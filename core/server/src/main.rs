//! The `lanyard` command. All of it is in the library.

fn main() -> std::process::ExitCode {
    lanyard_server::cli::main()
}
