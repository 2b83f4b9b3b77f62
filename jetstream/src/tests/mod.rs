//! Streams and their API on a bench, by the checklist of the reference (section 8).

mod advisories;
mod agreement;
mod archives;
mod batch;
mod configuration;
mod consumers;
mod far;
mod inflow;
mod publish;
mod reads;
mod restart;
mod retention;
mod standing;
mod trouble;
