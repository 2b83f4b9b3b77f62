//! What `--version`, `--help` and `--help_tls` print.

use cordon_server::protocol::info::EMULATED_VERSION;

/// The line that tools look for: the version of nats-server whose behaviour this is.
pub(crate) fn version() -> String {
    format!("nats-server: v{EMULATED_VERSION}")
}

/// How the program is used.
pub(crate) fn usage(program: &str) -> String {
    format!("Usage: {program} [flags]\n\n{FLAGS}")
}

const FLAGS: &str = "\
Every flag takes one dash or two, and its value after a blank or `=`. Flags win over the configuration file.

Broker:
    -c, --config FILE           configuration file; without one, nats-server's defaults hold
    -a, --addr, --net HOST      address to listen on (0.0.0.0)
    -p, --port PORT             port for clients (4222); -1 takes a free one
    -n, --name, --server_name NAME
    -m, --http_port PORT        monitoring on this port; -1 takes a free one
    -ms, --https_port PORT      monitoring over TLS on this port
        --client_advertise HOST[:PORT]  the address that clients are told
    -js, --jetstream            serve streams
    -sd, --store_dir DIR        below this folder
    -P, --pid FILE              write the process id to this file
        --ports_file_dir DIR    write the addresses to DIR/<program>_<pid>.ports
    -t                          check the configuration and end
    -sl, --signal CMD[=PID]     send ldm, stop, quit, term, reopen or reload to a running broker and end;
                                PID is a number, a beginning of one with `*`, or a file
        --strict[=false]        refuse to serve in plain text off loopback, or without authentication, unless the
                                file asks for it

Log:
    -l, --log FILE              into this file instead of standard error
    -T, --logtime[=false]       begin lines with the time (true)
        --logtime_utc           in UTC
    -D, --debug                 log more
    -V, --trace                 log what clients send and get, without their credentials
    -VV                         the system account's members, too
    -DV, -DVV                   both
        --log_size_limit BYTES  begin a new file after so many bytes
        --max_traced_msg_len N  show so many bytes of a traced message
    -s, --syslog                log into the log of this machine
    -r, --remote_syslog ADDRESS into that of another: udp://HOST:PORT, tcp://HOST:PORT

Authentication:
        --user NAME, --pass PASSWORD
        --auth TOKEN            secrets on a command line can be read by other users: prefer the file

TLS:
        --tls                   speak TLS; --tls=false turns it off
        --tlscert FILE, --tlskey FILE
        --tlsverify             demand client certificates
        --tlscacert FILE        that this authority signed

Known, and not acted on:
    --profile, --cluster, --cluster_listen, --cluster_name, --cluster_advertise, --no_advertise,
    --connect_retries, --routes

    -h, --help                  this text
    -v, --version               the version of nats-server whose behaviour this is
        --help_tls              what a `tls` block holds";

/// What a `tls` block holds.
pub(crate) const TLS: &str = "\
TLS is configured by a `tls` block in the configuration file:

    tls {
        cert_file: \"server.pem\"     # certificate with its chain
        key_file:  \"server.key\"
        ca_file:   \"clients.pem\"    # who signs client certificates
        verify:    true             # demand them
        timeout:   2                # seconds for a handshake
    }

Versions are TLS 1.2 and 1.3, with the cipher suites and groups of the library's safe defaults.
docs/configuration.md names every option.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_has_the_form_that_tools_read() {
        let version = version();
        let numbers: Vec<_> = version.strip_prefix("nats-server: v").unwrap().split('.').collect();
        assert_eq!(numbers.len(), 3, "{version}");
        assert!(numbers.iter().all(|number| number.parse::<u32>().is_ok()), "{version}");
    }

    #[test]
    fn lines_fit_a_terminal() {
        for line in usage("nats-server").lines().chain(TLS.lines()) {
            assert!(line.len() <= 116, "{line}");
        }
    }
}
