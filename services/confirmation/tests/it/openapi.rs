use confirmation::openapi::document;
use testkit::openapi::{assert_committed, assert_routes, assert_texts};

#[test]
fn the_committed_document_is_what_the_code_says() {
    assert_committed("confirmation", &document());
}

#[test]
fn the_document_has_every_route_and_no_others() {
    assert_routes(&document(), include_str!("../../src/app.rs"));
}

#[test]
fn its_examples_are_what_it_describes() {
    assert_texts(&document());
}
