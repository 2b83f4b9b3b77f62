//! The one binary: broker, control plane, and the commands that drive them.

mod api;
mod args;
mod broker;
mod command;
mod control;
mod data_folder;
mod demo;
mod dumps;
mod failure;
mod files;
mod lifecycle;
mod log;
mod output;
mod serve;
mod tls;

use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = args::Args::parse();
    tls::install_provider();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&anyhow::Error::new(error).context("the runtime cannot be started")),
    };
    match runtime.block_on(args.command.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}
