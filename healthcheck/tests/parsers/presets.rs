//! The databases' beginnings with any server.

use lvs_healthcheck::probe::preset::{Ldap, Mysql, Pgsql};
use lvs_healthcheck::{Code, Probe, Target, TcpProbe, Verdict};

use super::talk::{Input, Plan, compare};

/// The longest packet.
const PACKET: usize = 16 * 1024;

pub(super) fn check(data: &[u8]) {
    let mut input = Input(data);
    let connection = TcpProbe::new(Target::new(([192, 0, 2, 7], 7).into()));
    let (probe, kept): (Box<dyn Probe>, usize) = match input.byte() % 4 {
        0 => (Box::new(connection.with_protocol(Mysql::new())), PACKET),
        1 => {
            let mysql = Mysql::new().with_user("us");
            (Box::new(connection.with_protocol(mysql)), PACKET)
        }
        2 => (Box::new(connection.with_protocol(Pgsql::new("us"))), PACKET),
        _ => (Box::new(connection.with_protocol(Ldap::new())), 64),
    };
    let plan = Plan::of(&mut input);
    let told = compare(&*probe, &plan, kept, false);
    if told.outcome.verdict == Verdict::Pass {
        assert_eq!(told.outcome.code, Code::Ok);
        assert!(
            !plan.stream.is_empty(),
            "passes without a word of the server"
        );
    }
}
