//! Shows that nothing passes from one account to another unless it was exported and imported, by
//! subscribing in one in every manner and publishing in the other.

use cordon_tests::{Peer, Serve, Tenant};

async fn peer_of(serve: &Serve, tenant: &Tenant) -> Peer {
    serve.peer(&tenant.user("any").await.creds).await
}

#[tokio::test]
async fn the_same_subject_in_two_accounts_is_two_subjects() {
    let serve = Serve::start().await;
    let (a, b) = (serve.tenant("a").await, serve.tenant("b").await);
    let mut ours = peer_of(&serve, &a).await;
    let mut theirs = peer_of(&serve, &b).await;
    let subscriptions = "SUB orders 1\r\nSUB > 2\r\nSUB *.* 3\r\nSUB _INBOX.> 4\r\nSUB orders q 5\r\nSUB $SYS.> 6\r\n";
    theirs.send(subscriptions).await;
    theirs.fence().await;
    for subject in ["orders", "orders.new", "_INBOX.abc", "$JS.API.INFO", "_R_.x"] {
        ours.send(format!("PUB {subject} 6\r\nsecret\r\n")).await;
        // A plain inbox as reply subject must not be reachable from there either.
        ours.send(format!("PUB {subject} _INBOX.reply 6\r\nsecret\r\n")).await;
    }
    ours.fence().await;
    assert_eq!(theirs.fence().await, "");
    theirs.send("PUB orders 4\r\nmine\r\n").await;
    assert!(theirs.fence().await.contains("MSG orders 1 4\r\nmine\r\n"), "the account itself works");
}

#[tokio::test]
async fn a_queue_group_has_members_of_its_own_account_only() {
    let serve = Serve::start().await;
    let (a, b) = (serve.tenant("a").await, serve.tenant("b").await);
    let mut ours = peer_of(&serve, &a).await;
    let mut theirs = peer_of(&serve, &b).await;
    for peer in [&mut ours, &mut theirs] {
        peer.send("SUB jobs workers 1\r\nSUB jobs.> workers 2\r\n").await;
        peer.fence().await;
    }
    for _ in 0..50 {
        ours.send("PUB jobs 1\r\nx\r\nPUB jobs.a 1\r\ny\r\n").await;
    }
    let received = ours.fence().await;
    assert_eq!(received.matches("MSG jobs 1 1\r\nx\r\n").count(), 50);
    assert_eq!(received.matches("MSG jobs.a 2 1\r\ny\r\n").count(), 50);
    assert_eq!(theirs.fence().await, "");
}

#[tokio::test]
async fn a_third_account_sees_nothing_of_what_two_share() {
    let serve = Serve::start().await;
    let (maker, buyer, stranger) =
        (serve.tenant("maker").await, serve.tenant("buyer").await, serve.tenant("stranger").await);
    maker.export("service", "orders").await;
    maker.export("stream", "prices").await;
    buyer.import("service", &maker, "orders", "orders").await;
    buyer.import("stream", &maker, "prices", "prices").await;
    let mut exporter = peer_of(&serve, &maker).await;
    let mut importer = peer_of(&serve, &buyer).await;
    let mut third = peer_of(&serve, &stranger).await;
    third.send("SUB > 1\r\nSUB orders q 2\r\nSUB _R_.> 3\r\n").await;
    // Refused or not, the last is of no use to it.
    third.fence().await;
    exporter.send("SUB orders q 1\r\n").await;
    exporter.fence().await;
    importer.send("SUB prices 1\r\nSUB answers 2\r\nPUB orders answers 1\r\n?\r\n").await;
    importer.fence().await;
    let request = exporter.through("?\r\n").await;
    let reply = request.split(' ').nth(3).unwrap().to_owned();
    exporter.send(format!("PUB {reply} 1\r\n!\r\nPUB prices 1\r\n9\r\n")).await;
    exporter.fence().await;
    let received = importer.fence().await;
    assert!(
        received.contains("MSG answers 2 1\r\n!\r\n") && received.contains("MSG prices 1 1\r\n9\r\n"),
        "{received}"
    );
    // The third can neither hear it nor use the reply subject, the service or the stream.
    third.send(format!("PUB {reply} 1\r\nz\r\nPUB orders answers 1\r\nz\r\nPUB prices 1\r\nz\r\n")).await;
    let seen = third.fence().await;
    assert!(!seen.contains("\r\n?\r\n") && !seen.contains("\r\n!\r\n") && !seen.contains("\r\n9\r\n"), "{seen}");
    assert_eq!(exporter.fence().await, "");
    assert_eq!(importer.fence().await, "");
}

#[tokio::test]
async fn an_importer_reaches_only_the_imported_subject() {
    let serve = Serve::start().await;
    let (maker, buyer) = (serve.tenant("maker").await, serve.tenant("buyer").await);
    maker.export("service", "orders.new").await;
    buyer.import("service", &maker, "orders.new", "orders.new").await;
    let mut exporter = peer_of(&serve, &maker).await;
    let mut importer = peer_of(&serve, &buyer).await;
    exporter.send("SUB > 1\r\n").await;
    exporter.fence().await;
    for subject in ["orders", "orders.old", "orders.new.x", "new", "ORDERS.NEW"] {
        importer.send(format!("PUB {subject} r 1\r\nx\r\n")).await;
    }
    importer.fence().await;
    assert_eq!(exporter.fence().await, "");
    importer.send("PUB orders.new r 1\r\nx\r\n").await;
    importer.fence().await;
    assert!(exporter.fence().await.contains(" orders.new 1 "), "the imported one crosses");
    // A service lets requests in, not the exporter's own messages out.
    importer.send("SUB > 1\r\n").await;
    importer.fence().await;
    exporter.send("PUB orders.new 1\r\ny\r\n").await;
    exporter.fence().await;
    assert_eq!(importer.fence().await, "");
}

#[tokio::test]
async fn a_tenant_has_no_part_in_the_system_account() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("curious").await;
    let client = serve.client(&tenant.user("any").await.creds).await;
    let requests = [
        "$SYS.REQ.CLAIMS.LIST".to_owned(),
        "$SYS.REQ.CLAIMS.UPDATE".to_owned(),
        "$SYS.REQ.CLAIMS.PACK".to_owned(),
        format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.LOOKUP", tenant.key),
        format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.UPDATE", tenant.key),
    ];
    for subject in requests {
        let view = tenant.view().await;
        let jwt = view["jwt"].as_str().unwrap().to_owned();
        let error = client.nats.request(subject.clone(), jwt.into()).await.expect_err(&subject);
        assert_eq!(error.kind(), async_nats::RequestErrorKind::NoResponders, "{subject}");
    }
}
