//! What is told of those who try ports and addresses, and of what is done to TLS: a few packets by hand each.

use super::*;

/// The same to a server of that name (RFC 6066 section 3), which is short.
fn hello_to(name: &str) -> Vec<u8> {
    let (mut hello, len) = (hello(), name.len() as u8);
    (hello[4], hello[8]) = (hello[4] + len + 9, hello[8] + len + 9);
    let end = hello.len() - 1;
    hello[end] = len + 9;
    hello.extend([0, 0, 0, len + 5, 0, len + 3, 0, 0, len]);
    hello.extend(name.as_bytes());
    hello
}

#[test]
fn server_names_are_counted_as_hellos_have_them_and_where_they_have_none() {
    let mut mirror = Mirror::new();
    for (port, hello) in [hello_to("a.example"), hello_to("a.example"), hello()].iter().enumerate() {
        let mut talk = mirror.open(&format!("{ADDRESS}:{}", 2_000 + port));
        mirror.sends(&mut talk, ToServer, ACK, hello);
    }
    mirror.wait(Span::from_secs(1));
    let rows = mirror.seconds(Scope::Service(WEB)).flat_map(|tick| &tick.names);
    let names: Vec<_> = rows.map(|(key, count)| (&*key.name, *count)).collect();
    assert_eq!(names, [("", 1), ("a.example", 2)]);
}

#[test]
fn datagrams_beside_the_service_are_probes_unless_they_are_answered() {
    let mut mirror = Mirror::new();
    for (client, port, answered) in [
        (CLIENT, 161, false),
        (CLIENT, 500, true),
        // The service's own port, and answers to what was asked before the capture began.
        (CLIENT, 80, false),
        ("198.51.100.7:53", 40_000, false),
        ("198.51.100.7:443", 40_001, false),
        ("198.51.100.7:5353", 40_002, false),
    ] {
        let talk = mirror.talk(client, port);
        mirror.datagram(&talk, ToServer, &[0; 20]);
        mirror.datagram(&talk, ToServer, &[0; 20]);
        if answered {
            mirror.datagram(&talk, ToClient, &[0; 20]);
            mirror.datagram(&talk, ToClient, &[0; 20]);
        }
    }
    let asked = mirror.talk("198.51.100.9:5000", 41_000);
    mirror.datagram(&asked, ToClient, &[0; 20]);
    mirror.datagram(&asked, ToServer, &[0; 20]);
    mirror.after(Span::from_secs(1));
    let beside = mirror.seconds(Scope::Beside(WEB)).next().unwrap();
    let rows = beside.probed.iter().filter(|(_, probe)| probe.unanswered() > 0);
    let rows: Vec<_> = rows.map(|(key, _)| key.tried).collect();
    assert_eq!(rows, [Tried::Datagram(SERVER, 161)]);
    let wanted = [Count::UdpProbes, Count::UdpReplies, Count::Attempts];
    assert_eq!((wanted.map(|count| beside.counts[count]), beside.counts.udp_probes()), ([2, 1, 0], 1));
}

#[test]
fn who_tries_the_own_port_is_kept_where_a_service_has_many_addresses() {
    for spread in [false, true] {
        let mut mirror = Mirror::new();
        if spread {
            mirror.tallies.keep_probes_of(Arc::new([WEB]));
        }
        for host in 1..=3 {
            let mut talk = mirror.talk(CLIENT, 80);
            talk.server = SocketAddr::from(([192, 0, 2, host], 80));
            mirror.sends(&mut talk, ToServer, SYN, b"");
            if host == 2 {
                mirror.sends(&mut talk, ToClient, SYN_ACK, b"");
            }
        }
        mirror.after(Span::from_secs(1));
        let own = mirror.seconds(Scope::Service(WEB)).next().unwrap();
        let rows = own.probed.iter().filter(|(_, probe)| probe.unanswered() > 0);
        let rows: Vec<_> = rows.map(|(key, _)| key.tried).collect();
        let tried = [1, 3].map(|host| Tried::Port(IpAddr::from([192, 0, 2, host]), 80));
        assert_eq!(rows, if spread { &tried[..] } else { &[] });
    }
}

/// A record of that type with so many bytes.
fn record(kind: u8, len: usize) -> Vec<u8> {
    let mut record = vec![kind, 3, 3];
    record.extend((len as u16).to_be_bytes());
    record.resize(5 + len, 7);
    record
}

/// A conversation as far as the service's answer to the hello.
fn sealed(mirror: &mut Mirror) -> Talk {
    let mut talk = mirror.open(CLIENT);
    greet(mirror, &mut talk);
    talk
}

/// A hello and the service's answer to it.
fn greet(mirror: &mut Mirror, talk: &mut Talk) {
    mirror.sends(talk, ToServer, ACK, &hello());
    mirror.sends(talk, ToClient, ACK, &record(22, 900));
}

#[test]
fn a_handshake_is_in_vain_where_nothing_is_asked_behind_it() {
    let tls13 = [record(20, 1), record(23, 53)].concat();
    let tls12 = [record(22, 258), record(20, 1), record(22, 40)].concat();
    for (flights, bare) in [
        (vec![], 1),
        (vec![tls13.clone()], 1),
        (vec![tls12.clone()], 1),
        (vec![record(21, 26)], 1),
        (vec![tls13.clone(), record(23, 120)], 0),
        (vec![[tls13, record(23, 90)].concat()], 0),
        (vec![[tls12, record(23, 90)].concat()], 0),
    ] {
        let mut mirror = Mirror::new();
        let mut talk = sealed(&mut mirror);
        for flight in &flights {
            mirror.sends(&mut talk, ToServer, ACK, flight);
            mirror.sends(&mut talk, ToClient, ACK, &record(23, 200));
        }
        mirror.sends(&mut talk, ToServer, RST, b"");
        // A hello that nobody answers costs the service nothing.
        let mut ignored = mirror.open("198.51.100.8:4000");
        mirror.sends(&mut ignored, ToServer, ACK, &hello());
        mirror.sends(&mut ignored, ToServer, FIN, b"");
        mirror.sends(&mut ignored, ToClient, RST, b"");
        let counts = mirror.after(Span::from_secs(1));
        let told = (counts[Count::BareHandshakes], u64::from(mirror.of(ADDRESS).bare));
        assert_eq!((told, counts[Count::Renegotiations]), ((bare, bare), 0), "{flights:?}");
    }
}

#[test]
fn a_handshake_behind_which_nothing_is_asked_for_long_is_in_vain_once() {
    let mut mirror = Mirror::new();
    let mut talk = sealed(&mut mirror);
    let finished = [record(20, 1), record(23, 53)].concat();
    mirror.sends(&mut talk, ToServer, ACK, &finished);
    let bare = |counts: Counts| counts[Count::BareHandshakes];
    assert_eq!(bare(mirror.after(Span::from_secs(8))), 0, "the first request may still come");
    assert_eq!(bare(mirror.after(Span::from_secs(4))), 1);
    mirror.sends(&mut talk, ToServer, RST, b"");
    assert_eq!(bare(mirror.after(Span::from_secs(1))), 1);
}

#[test]
fn handshakes_that_are_begun_anew_are_counted_but_for_the_first() {
    let mut mirror = Mirror::new();
    let mut talk = mirror.open(CLIENT);
    for flight in [hello(), record(22, 120), record(23, 300)] {
        mirror.sends(&mut talk, ToServer, ACK, &flight);
        mirror.sends(&mut talk, ToClient, ACK, &record(23, 200));
    }
    // A key and a certificate in two segments are one turn.
    for _ in 0..4 {
        mirror.sends(&mut talk, ToServer, ACK, &record(22, 120));
        mirror.sends(&mut talk, ToServer, ACK, &record(22, 40));
        mirror.sends(&mut talk, ToClient, ACK, &record(22, 200));
    }
    let counts = mirror.after(Span::from_secs(1));
    assert_eq!((counts[Count::Renegotiations], mirror.of(ADDRESS).renegotiations), (3, 3));
}

#[test]
fn small_records_are_hasty_beyond_what_a_connection_may_have_unanswered() {
    // So many records in a turn, and what the service says to each turn.
    for (records, answer, hasty) in [
        (128, 9_000, [0, 0, 0]),
        (200, 0, [72, 272, 472]),
        // Sixty-four are answered.
        (200, 64 * 30, [72, 208, 344]),
        // A browser's page: each request has its answer.
        (20, 600, [0, 0, 0]),
    ] {
        let mut mirror = Mirror::new();
        let mut talk = sealed(&mut mirror);
        for wanted in hasty {
            for _ in 0..records / 4 {
                mirror.sends(&mut talk, ToServer, ACK, &record(23, 80).repeat(4));
            }
            mirror.sends(&mut talk, ToServer, ACK, &record(23, 80).repeat(records % 4));
            if answer > 0 {
                mirror.sends(&mut talk, ToClient, ACK, &vec![7; answer]);
            }
            let told = mirror.after(Span::from_secs(1))[Count::HastyRecords];
            assert_eq!(told, wanted, "{records} records, {answer} bytes");
        }
    }
}

#[test]
fn where_the_answers_are_not_mirrored_nothing_is_hasty() {
    let mut mirror = Mirror::new();
    let mut talk = mirror.talk(CLIENT, 443);
    mirror.sends(&mut talk, ToServer, SYN, b"");
    for payload in [vec![], hello(), record(23, 80).repeat(15), record(23, 80).repeat(15)] {
        mirror.sends(&mut talk, ToServer, ACK, &payload);
    }
    for _ in 0..30 {
        mirror.sends(&mut talk, ToServer, ACK, &record(23, 80).repeat(15));
    }
    assert_eq!(mirror.after(Span::from_secs(1))[Count::HastyRecords], 0);
}

#[test]
fn behind_tls_each_turn_that_asks_is_an_access_and_the_hello_speaks_for_the_first() {
    let finished = [record(20, 1), record(23, 53)].concat();
    let keys = [record(22, 258), record(20, 1), record(22, 40)].concat();
    for handshake in [finished, keys] {
        let mut mirror = Mirror::new();
        let mut talk = sealed(&mut mirror);
        mirror.sends(&mut talk, ToServer, ACK, &handshake);
        mirror.sends(&mut talk, ToClient, ACK, &record(23, 200));
        for _ in 0..3 {
            // A request in two segments is one turn.
            mirror.sends(&mut talk, ToServer, ACK, &record(23, 400));
            mirror.sends(&mut talk, ToServer, ACK, &record(23, 400));
            mirror.sends(&mut talk, ToClient, ACK, &record(23, 900));
        }
        let counts = mirror.after(Span::from_secs(1));
        let told = [Count::Accesses, Count::Hellos, Count::SealedTurns].map(|count| counts[count]);
        assert_eq!((told, mirror.of(ADDRESS).accesses), ([3, 1, 2], 3));
        assert!(counts.are_sealed());
    }
}

#[test]
fn behind_tls_a_short_turn_is_an_access_where_it_is_answered_by_more_than_a_frame() {
    let finished = [record(20, 1), record(23, 69)].concat();
    let keys = [record(22, 258), record(20, 1), record(22, 40)].concat();
    let short = record(23, 70);
    for (handshake, answer, accesses) in [
        (finished.clone(), 300, 3),
        (keys, 300, 3),
        // The first request may come with the end of the handshake.
        ([finished.clone(), short.clone()].concat(), 300, 4),
        // Windows, pings and their like.
        (finished, 40, 1),
    ] {
        let mut mirror = Mirror::new();
        let mut talk = sealed(&mut mirror);
        mirror.sends(&mut talk, ToServer, ACK, &handshake);
        mirror.sends(&mut talk, ToClient, ACK, &record(23, 200));
        for _ in 0..3 {
            mirror.sends(&mut talk, ToServer, ACK, &short);
            mirror.sends(&mut talk, ToClient, ACK, &record(23, answer));
        }
        mirror.sends(&mut talk, ToServer, RST, b"");
        let counts = mirror.after(Span::from_secs(1));
        let bare = u64::from(accesses == 1);
        assert_eq!((counts[Count::Accesses], counts[Count::BareHandshakes]), (accesses, bare));
    }
}

#[test]
fn who_takes_an_answer_in_morsels_holds_the_connection() {
    // What the service sends every five seconds, and whether the client takes nothing then.
    for (morsel, starves, held) in [(100, true, 1), (6_000, true, 0), (100, false, 0)] {
        let mut mirror = Mirror::new();
        let mut talk = mirror.open(CLIENT);
        mirror.sends(&mut talk, ToServer, ACK, b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
        mirror.sends(&mut talk, ToClient, ACK, b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n");
        for second in 0..4 {
            talk.window[0] = if starves || second == 0 { 0 } else { 8_192 };
            mirror.repeats(&talk, ToServer, ACK, b"");
            mirror.wait(Span::from_secs(5));
            for _ in 0..morsel / 1_000 {
                mirror.sends(&mut talk, ToClient, ACK, &[7; 1_000]);
            }
            mirror.sends(&mut talk, ToClient, ACK, &vec![7; morsel % 1_000]);
        }
        mirror.after(Span::from_secs(1));
        assert_eq!(mirror.of(ADDRESS).held, held, "{morsel} bytes");
    }
}

#[test]
fn answers_are_brief_where_they_stay_below_a_thousand_bytes() {
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = |len: usize| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n");
        [head.as_bytes(), &vec![7; len]].concat()
    };
    let mut mirror = Mirror::new();
    let mut talk = mirror.open(CLIENT);
    for len in [200, 2_000, 900, 1_400] {
        mirror.sends(&mut talk, ToServer, ACK, request);
        // The head goes ahead of the rest.
        let (first, rest) = (&answer(len)[..60], &answer(len)[60..]);
        mirror.sends(&mut talk, ToClient, ACK, first);
        mirror.wait(Span::from_millis(700));
        mirror.sends(&mut talk, ToClient, ACK, rest);
    }
    let mut behind_tls = mirror.open("198.51.100.8:4000");
    greet(&mut mirror, &mut behind_tls);
    mirror.sends(&mut behind_tls, ToServer, ACK, &[record(20, 1), record(23, 53)].concat());
    mirror.sends(&mut behind_tls, ToClient, ACK, &record(23, 200));
    for len in [300, 3_000, 300] {
        mirror.sends(&mut behind_tls, ToServer, ACK, &record(23, 400));
        mirror.sends(&mut behind_tls, ToClient, ACK, &record(23, len));
    }
    // Of the last one it is known when it is looked at.
    assert_eq!(mirror.after(Span::from_secs(12))[Count::BriefAnswers], 4);
}

#[test]
fn an_answer_that_a_frame_of_the_clients_interrupts_is_not_brief() {
    let mut mirror = Mirror::new();
    let mut talk = sealed(&mut mirror);
    mirror.sends(&mut talk, ToServer, ACK, &[record(20, 1), record(23, 53), record(23, 200)].concat());
    // Settings and their acknowledgement, and then the page.
    mirror.sends(&mut talk, ToClient, ACK, &record(23, 80));
    mirror.sends(&mut talk, ToServer, ACK, &record(23, 26));
    mirror.sends(&mut talk, ToClient, ACK, &record(23, 3_000));
    // Short requests count among what is answered, too.
    for len in [3_000, 300] {
        mirror.sends(&mut talk, ToServer, ACK, &record(23, 70));
        mirror.sends(&mut talk, ToClient, ACK, &record(23, len));
    }
    let counts = mirror.after(Span::from_secs(12));
    let told = [Count::BriefAnswers, Count::FirstBytes, Count::Accesses].map(|count| counts[count]);
    assert_eq!(told, [1, 4, 3]);
}

#[test]
fn syn_acks_beside_the_service_are_unasked_where_no_syn_was_seen() {
    let mut mirror = Mirror::new();
    let mut asked = mirror.talk("198.51.100.9:443", 41_000);
    mirror.sends(&mut asked, ToClient, SYN, b"");
    mirror.sends(&mut asked, ToServer, SYN_ACK, b"");
    for (server, port) in [
        ("198.51.100.7:443", 40_000),
        // Neither between ports of clients, nor to those of servers.
        ("198.51.100.7:4430", 40_001),
        ("198.51.100.7:443", 22),
    ] {
        let mut stray = mirror.talk(server, port);
        mirror.sends(&mut stray, ToServer, SYN_ACK, b"");
        mirror.repeats(&stray, ToServer, SYN_ACK, b"");
    }
    mirror.after(Span::from_secs(1));
    let beside = mirror.seconds(Scope::Beside(WEB)).next().unwrap();
    // It is sent again until it is answered.
    assert_eq!(beside.counts[Count::UnaskedSynAcks], 2);
}

#[test]
fn segments_are_out_of_state_where_no_conversation_is_known() {
    let mut mirror = Mirror::new();
    let mut known = mirror.open(CLIENT);
    mirror.sends(&mut known, ToServer, ACK, b"GET / HTTP/1.1\r\n\r\n");
    for (port, flags) in [ACK, RST, FIN, SYN_ACK].into_iter().enumerate() {
        let mut stray = mirror.talk(&format!("198.51.100.8:{}", 5_000 + port), 80);
        mirror.sends(&mut stray, ToServer, flags, b"");
    }
    let mut begins = mirror.talk("198.51.100.9:5000", 80);
    mirror.sends(&mut begins, ToServer, SYN, b"");
    mirror.repeats(&begins, ToServer, SYN, b"");
    assert_eq!(mirror.after(Span::from_secs(1))[Count::OutOfState], 4);
}
