//! The one binary: broker, control plane, and the commands that drive them.

mod allocator;
mod api;
mod args;
mod broker;
mod command;
mod control;
mod data_folder;
mod demo;
mod descriptors;
mod dumps;
mod failure;
mod files;
mod lifecycle;
mod log;
mod migrate;
mod nats_server;
mod output;
mod serve;
mod tls;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    allocator::set_up();
    let words: Vec<_> = std::env::args_os().collect();
    if let Some((program, flags)) = nats_server::Program::called_by(&words) {
        return program.main(flags);
    }
    let args = args::Args::parse_from(command::store::spelled(words));
    tls::install_provider();
    if args.command.serves() {
        descriptors::make_room();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&anyhow::Error::new(error).context("the runtime cannot be started")),
    };
    match runtime.block_on(args.command.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}
