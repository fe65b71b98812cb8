//! What nginx answers.

use lvs_healthcheck::probe::http::Http;
use lvs_healthcheck::{Code, Phase, Verdict};

use super::ask;
use super::nginx::Nginx;

#[test]
#[ignore = "needs nginx"]
fn page_passes_and_a_missing_one_fails() {
    let nginx = Nginx::start("");
    nginx.file("health", b"all is ok\n");
    let outcome = ask(
        nginx.address(),
        Http::get("/health").with_body_contains("ok"),
    );
    assert_eq!(
        (outcome.code, outcome.phase),
        (Code::Ok, Phase::Match),
        "{outcome}"
    );
    assert_eq!(outcome.detail.as_str(), "200 OK");
    let outcome = ask(nginx.address(), Http::get("/none"));
    assert_eq!(
        (outcome.code, outcome.verdict),
        (Code::Status, Verdict::Fail)
    );
    assert_eq!(
        outcome.detail.as_str(),
        "expected status 200-299, got 404 Not Found"
    );
    let host = nginx.address();
    let asked =
        |number, path: &str, status| format!("{number} 1 \"GET {path} HTTP/1.1\" {host} {status}");
    // The first connection was only to see whether it listens.
    assert_eq!(
        nginx.log(),
        [asked(2, "/health", 200), asked(3, "/none", 404)]
    );
}
