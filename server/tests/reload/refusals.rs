//! What is refused is refused whole: everything is as it was before.

use cordon_server::reload::{Asker, ReloadRefusal, reload};

use crate::site::{OPEN, Site};
use crate::support::TestBroker;

fn refusal(site: &Site, text: &str) -> String {
    site.reload(text).unwrap_err().to_string()
}

#[test]
fn a_file_that_is_wrong_changes_nothing_and_says_why() {
    let site = Site::start(OPEN);
    let mut peer = site.broker.peer();
    for (text, why) in [
        ("max_payload: 8\nnonsense: 1\n", "test.conf:4:1"),
        ("max_payload: 8\nport: \"x\"\n", "test.conf:4:"),
        ("max_payload: 8\nmax_pending: 4\n", "`max_payload` (8) cannot be higher than `max_pending` (4)"),
        ("max_payload: 8\nauthorization {\n", "test.conf"),
        ("max_payload: 8\nno_auth_user: nobody\n", "nobody"),
        ("max_payload: 8\ntls { cert_file: \"/nowhere\", key_file: \"/nowhere\" }\n", "/nowhere"),
    ] {
        let told = refusal(&site, &format!("{OPEN}{text}"));
        assert!(told.contains(why), "{told}");
    }
    peer.exchange_only("SUB a 1\r\nPUB a 9\r\n123456789\r\n", "MSG a 1 9\r\n123456789\r\n");
    assert_eq!(site.reloaded(&format!("{OPEN}max_payload: 8\n")), ["max_payload: 1048576 -> 8"]);
}

#[test]
fn what_a_start_decides_is_refused_by_name_with_all_else() {
    let site = Site::start(&format!("{OPEN}server_name: one\n"));
    let mut peer = site.broker.peer();
    for (text, why) in [
        ("server_name: two\n", "config reload not supported for ServerName: old=one, new=two"),
        ("server_name: one\nport: 4333\n", "config reload not supported for Port: old=0, new=4333"),
        ("server_name: one\nhost: \"127.0.0.2\"\n", "not supported for Host: old=127.0.0.1, new=127.0.0.2"),
        (
            "server_name: one\nmax_closed_clients: 5\n",
            "config reload not supported for MaxClosedClients: old=10000, new=5",
        ),
        (
            "server_name: one\nsystem_account: OTHER\naccounts { OTHER { users: [{user: o, password: o}] } }\n",
            "config reload not supported for SystemAccount",
        ),
        ("server_name: one\ndata_dir: \"/nowhere\"\n", "config reload not supported for DataDir"),
    ] {
        let told = refusal(&site, &format!("{OPEN}max_payload: 8\n{text}"));
        assert!(told.contains(why), "{told}");
        assert!(told.contains("nothing was changed: put `") && told.contains("restart the broker"), "{told}");
    }
    peer.exchange_only("SUB a 1\r\nPUB a 9\r\n123456789\r\n", "MSG a 1 9\r\n123456789\r\n");
}

#[test]
fn a_log_that_cannot_be_written_refuses_all_else() {
    let site = Site::start(OPEN);
    let mut peer = site.broker.peer();
    let told = refusal(&site, &format!("{OPEN}max_payload: 8\nlog_file: \"/nowhere/broker.log\"\n"));
    assert!(told.contains("cannot write the log"), "{told}");
    peer.exchange_only("SUB a 1\r\nPUB a 9\r\n123456789\r\n", "MSG a 1 9\r\n123456789\r\n");
}

#[test]
fn a_broker_without_a_file_has_nothing_to_read() {
    let broker = TestBroker::open();
    let refused = broker.block_on(reload(&broker.running.broker, &Asker::Signal));
    assert!(matches!(refused, Err(ReloadRefusal::NoFile)));
    assert_eq!(refused.unwrap_err().to_string(), "can only reload config when a file is provided using -c or --config");
}

#[test]
fn ports_that_the_system_chose_stay() {
    let site = Site::start(&format!("{OPEN}http: \"127.0.0.1:-1\"\n"));
    let address = site.broker.running.client_address;
    site.reloaded(&format!("{OPEN}http: \"127.0.0.1:-1\"\nmax_payload: 8\n"));
    assert_eq!(site.broker.raw().info()["port"], address.port());
}
