//! Brokers that are reached by another way: a SOCKS5 or an HTTP proxy, or their canonical names. The proxies of these tests are written from the RFCs, byte by byte.

use std::net::SocketAddr;

use kafka_testbed::FakeCluster;
use rskafka_producer::{ErrorKind, Fate, Message, Producer, ProducerConfig, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{SECOND, ctx, minute};

/// A proxy: the user that it demands, whether it refuses to connect, and whether it speaks HTTP.
#[derive(Clone, Copy)]
struct Rules {
    http: bool,
    login: Option<(&'static str, &'static str)>,
    refuses: bool,
}

/// Starts a proxy. It connects to this machine, as if its network knew the name of the broker.
async fn start(rules: Rules) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let port = match rules.http {
                    true => http(&mut near, rules).await,
                    false => socks5(&mut near, rules).await,
                };
                if let Some(port) = port {
                    let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                }
            });
        }
    });
    address
}

async fn take(near: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    near.read_exact(&mut bytes).await.unwrap();
    bytes
}

async fn socks5(near: &mut TcpStream, rules: Rules) -> Option<u16> {
    let head = take(near, 2).await;
    let methods = take(near, usize::from(head[1])).await;
    let wanted = if rules.login.is_some() { 2 } else { 0 };
    let method = if methods.contains(&wanted) { wanted } else { 0xff };
    near.write_all(&[5, method]).await.unwrap();
    match (method, rules.login) {
        (0xff, _) => return None,
        (2, Some(login)) => {
            let user_len = usize::from(take(near, 2).await[1]);
            let user = take(near, user_len).await;
            let password_len = usize::from(take(near, 1).await[0]);
            let password = take(near, password_len).await;
            let good = (user.as_slice(), password.as_slice()) == (login.0.as_bytes(), login.1.as_bytes());
            near.write_all(&[1, u8::from(!good)]).await.unwrap();
            if !good {
                return None;
            }
        }
        _ => {}
    }
    assert_eq!(take(near, 3).await, [5, 1, 0]);
    let kind = take(near, 1).await[0];
    let len = match kind {
        1 => 4,
        3 => usize::from(take(near, 1).await[0]),
        _ => panic!("an address of kind {kind}"),
    };
    let host = take(near, len).await;
    assert!(kind == 1 || host == b"kafka.invalid", "{host:?}");
    let port = take(near, 2).await;
    let reply = if rules.refuses { 2 } else { 0 };
    near.write_all(&[5, reply, 0, 1, 127, 0, 0, 1, 0, 9]).await.unwrap();
    (!rules.refuses).then(|| u16::from_be_bytes([port[0], port[1]]))
}

async fn http(near: &mut TcpStream, rules: Rules) -> Option<u16> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(near.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let first = lines.next().unwrap();
    let target = first.strip_prefix("CONNECT ").unwrap().strip_suffix(" HTTP/1.1").unwrap();
    assert_eq!(lines.next().unwrap(), format!("Host: {target}"));
    let given = lines.find_map(|line| line.strip_prefix("Proxy-Authorization: Basic "));
    // "shop:secret"
    let right = rules.login.is_none() || given == Some("c2hvcDpzZWNyZXQ=");
    let answer = match (right, rules.refuses) {
        (false, _) => "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
        (true, true) => "HTTP/1.1 403 Forbidden\r\n\r\n",
        (true, false) => "HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n",
    };
    // In pieces, as a network may deliver it.
    for piece in answer.as_bytes().chunks(7) {
        near.write_all(piece).await.unwrap();
        near.flush().await.unwrap();
    }
    (right && !rules.refuses).then(|| target.rsplit_once(':').unwrap().1.parse().unwrap())
}

const LOGIN: Option<(&str, &str)> = Some(("shop", "secret"));

async fn proxy(rules: Rules) -> Proxy {
    let address = start(rules).await.to_string();
    if rules.http { Proxy::http(&address).unwrap() } else { Proxy::socks5(&address).unwrap() }
}

#[tokio::test]
async fn messages_pass_a_proxy_that_alone_can_resolve_the_brokers_names() {
    for http in [false, true] {
        for login in [None, LOGIN] {
            let cluster = FakeCluster::builder().brokers(2).topic("t", 2).start().await.unwrap();
            let mut proxy = proxy(Rules { http, login, refuses: false }).await;
            if let Some((user, password)) = login {
                proxy = proxy.credentials(user, password);
            }
            let broker = format!("kafka.invalid:{}", cluster.address(0).port());
            let config = ProducerConfig::new(broker).topic("t").proxy(proxy);
            let producer = Producer::connect(&minute(), config).await.unwrap();
            for partition in 0..2 {
                producer.send(&minute(), Message::new("v").partition(partition)).await.unwrap();
            }
            assert_eq!(cluster.all_records("t").len(), 2);
        }
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_with_its_reason() {
    let right = |proxy: Proxy| proxy.credentials("shop", "secret");
    let wrong = |proxy: Proxy| proxy.credentials("shop", "hunter2");
    let none = |proxy: Proxy| proxy;
    type Edit = fn(Proxy) -> Proxy;
    let cases: [(bool, bool, Edit, &str); 6] = [
        (false, true, right, "rules do not allow"),
        (false, false, wrong, "refuses user name or password"),
        (false, false, none, "proxy.username"),
        (true, true, right, "403 Forbidden"),
        (true, false, wrong, "proxy.username"),
        (true, false, none, "407"),
    ];
    for (http, refuses, edit, words) in cases {
        let proxy = proxy(Rules { http, login: LOGIN, refuses }).await;
        let config = ProducerConfig::new("kafka.invalid:9092").proxy(edit(proxy));
        let error = Producer::connect(&ctx(SECOND / 2), config).await.unwrap_err();
        let text = format!("{error} {:?}", std::error::Error::source(&error));
        assert!(text.contains(words) && text.contains("through the proxy 127.0.0.1:"), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("secret"), "{text}");
        assert_eq!((error.kind(), error.fate()), (ErrorKind::Unreachable, Fate::NotPersisted));
    }
}

#[tokio::test]
async fn what_is_no_proxy_is_an_error_at_once_and_no_address_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            _ = socket.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
        }
    });
    for (proxy, words) in [
        (Proxy::socks5(&address).unwrap(), "SOCKS version 5"),
        (Proxy::http(&address).unwrap(), "does not speak HTTP"),
    ] {
        let config = ProducerConfig::new("kafka.invalid:9092").proxy(proxy);
        let error = Producer::connect(&ctx(SECOND / 2), config).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    let error = Proxy::http("http://proxy:3128").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.to_string().contains("scheme"), "{error}");
    assert!(!format!("{:?}", Proxy::socks5("p:1").unwrap().credentials("a", "hunter2")).contains("hunter2"));
}

#[tokio::test]
async fn settings_in_text_name_a_proxy_and_its_login() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    for (http, scheme) in [(false, "socks5"), (true, "http")] {
        let address = start(Rules { http, login: LOGIN, refuses: false }).await;
        let config = ProducerConfig::from_properties([
            ("proxy.password", "secret"),
            ("bootstrap.servers", &format!("kafka.invalid:{}", cluster.address(0).port())),
            ("proxy.url", &format!("{scheme}://{address}")),
            ("proxy.username", "shop"),
        ]);
        let producer = Producer::connect(&minute(), config.unwrap()).await.unwrap();
        producer.send(&minute(), Message::new("v").to("t")).await.unwrap();
    }
    for (pairs, words) in [
        (&[("proxy.url", "socks4://p:1")][..], "expected socks5 or http"),
        (&[("proxy.url", "p:1080")], "expected socks5://host:port"),
        (&[("proxy.url", "http://shop:hunter2@p:1")], "proxy.username and proxy.password"),
        (&[("proxy.username", "shop"), ("proxy.password", "hunter2")], "without proxy.url"),
        (&[("proxy.url", "http://p:1"), ("proxy.username", "shop")], "without proxy.password"),
        (&[("proxy.url", "http://p:1"), ("proxy.password", "hunter2")], "without proxy.username"),
    ] {
        let pairs = pairs.iter().copied().chain([("bootstrap.servers", "b:1")]);
        let error = ProducerConfig::from_properties(pairs).unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn brokers_are_reached_by_the_canonical_names_of_their_addresses() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let config = ProducerConfig::from_properties([
        ("bootstrap.servers", cluster.bootstrap().join(",").as_str()),
        ("client.dns.lookup", "resolve_canonical_bootstrap_servers_only"),
    ])
    .unwrap();
    let producer = Producer::connect(&minute(), config.clone()).await.unwrap();
    producer.send(&minute(), Message::new("v").to("t")).await.unwrap();
    let proxy = Proxy::http("proxy:3128").unwrap();
    let error = config.proxy(proxy).validate().unwrap_err().to_string();
    assert!(error.contains("client.dns.lookup"), "{error}");
}
