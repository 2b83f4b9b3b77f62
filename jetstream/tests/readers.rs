//! Where reading needs permission, push consumers deliver by the rights of the moment.

mod support;

use support::{Client, Site};

/// A user whose rights to subscribe are `of_eu`, in an account that is checked or not.
fn accounts(checked: bool, of_eu: &str) -> String {
    format!(
        r#"
accounts {{
  JS {{
    jetstream {{ reads_need_permission: {checked} }}
    users: [
      {{ user: js, password: p }}
      {{ user: eu, password: p, permissions {{ subscribe: [{of_eu}], publish: ">" }} }}
    ]
  }}
  SYS {{ users: [ {{ user: sys, password: p }} ] }}
}}
system_account: SYS
"#
    )
}

const MAY: &str = r#""eu.>", "in.>", "to.>""#;
const MAY_NOT: &str = r#""in.>", "to.>""#;

async fn publish(client: &mut Client, subject: &str) {
    assert!(client.ask(subject, subject).await.contains("\"seq\""));
}

/// A stream, and a push consumer of what is below `eu`, made by who may read that.
async fn make(eu: &mut Client, group: &str) {
    let stream = r#"{"name":"S","subjects":["eu.>","us.>"]}"#;
    assert!(eu.ask("$JS.API.STREAM.CREATE.S", stream).await.contains("did_create"));
    let consumer = format!(
        r#"{{"stream_name":"S","config":{{"name":"c","durable_name":"c","ack_policy":"none","filter_subject":"eu.>","deliver_subject":"to.eu"{group}}}}}"#
    );
    assert!(eu.ask("$JS.API.CONSUMER.CREATE.S.c.eu.>", &consumer).await.contains("\"created\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_consumer_stops_when_its_receiver_may_read_no_more_and_goes_on_when_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &accounts(true, MAY)).await;
    let (mut js, mut eu) = (Client::of(&site.broker, "js").await, Client::of(&site.broker, "eu").await);
    make(&mut eu, "").await;
    eu.send("SUB to.eu 2\r\n").await;
    publish(&mut js, "eu.one").await;
    eu.until("MSG eu.one 2 ").await;

    site.reload(&accounts(true, MAY_NOT)).await;
    publish(&mut js, "eu.two").await;
    let info = js.told("$JS.API.CONSUMER.INFO.S.c", "_cordon.stopped").await;
    assert!(info.contains("may not subscribe to `eu.>`") && !info.contains("\"push_bound\":true"), "{info}");
    assert!(!eu.fence().await.contains("eu.two"), "it may not read");
    let again = r#"{"stream_name":"S","config":{"name":"c","durable_name":"c","ack_policy":"none","filter_subject":"eu.>","deliver_subject":"to.eu","metadata":{"_cordon.stopped":"x"}}}"#;
    let told = js.ask("$JS.API.CONSUMER.CREATE.S.c.eu.>", again).await;
    assert!(told.contains("`eu.>`") && !told.contains(r#":"x""#), "what is said of it is not kept: {told}");

    site.reload(&accounts(true, MAY)).await;
    eu.until("MSG eu.two 2 ").await;
    let info = js.ask("$JS.API.CONSUMER.INFO.S.c", "").await;
    assert!(!info.contains("_cordon.stopped") && info.contains("\"push_bound\":true"), "{info}");

    site.reload(&accounts(true, MAY_NOT)).await;
    publish(&mut js, "eu.three").await;
    js.told("$JS.API.CONSUMER.INFO.S.c", "_cordon.stopped").await;
    site.reload(&accounts(false, MAY_NOT)).await;
    eu.until("MSG eu.three 2 ").await;
    site.reload(&accounts(true, MAY_NOT)).await;
    publish(&mut js, "eu.four").await;
    js.told("$JS.API.CONSUMER.INFO.S.c", "_cordon.stopped").await;
    assert!(!eu.fence().await.contains("eu.four"), "it is checked again");
    site.broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_receivers_those_get_messages_who_may_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &accounts(true, MAY_NOT)).await;
    let (mut js, mut eu) = (Client::of(&site.broker, "js").await, Client::of(&site.broker, "eu").await);
    make(&mut js, "").await;
    eu.send("SUB to.eu 2\r\nSUB to.> 3\r\n").await;
    publish(&mut js, "eu.one").await;
    js.told("$JS.API.CONSUMER.INFO.S.c", "_cordon.stopped").await;
    js.send("SUB to.eu 2\r\n").await;
    js.until("MSG eu.one 2 ").await;
    publish(&mut js, "eu.two").await;
    js.until("MSG eu.two 2 ").await;
    assert!(!eu.fence().await.contains("MSG eu."), "neither by its subject nor by a wildcard");
    js.send("UNSUB 2\r\n").await;
    js.fence().await;
    publish(&mut js, "eu.three").await;
    js.told("$JS.API.CONSUMER.INFO.S.c", "_cordon.stopped").await;
    assert!(!eu.fence().await.contains("MSG eu."));
    site.broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_queue_group_members_get_messages_who_may_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &accounts(true, MAY_NOT)).await;
    let (mut js, mut eu) = (Client::of(&site.broker, "js").await, Client::of(&site.broker, "eu").await);
    make(&mut js, r#","deliver_group":"g""#).await;
    eu.send("SUB to.eu g 2\r\n").await;
    eu.fence().await;
    js.send("SUB to.eu g 2\r\n").await;
    js.fence().await;
    for n in 0..20 {
        publish(&mut js, &format!("eu.{n}")).await;
    }
    js.until("MSG eu.19 2 ").await;
    assert!(!eu.fence().await.contains("MSG eu."), "all go to the member that may read");
    site.broker.shutdown().await;
}
