//! The configuration as it was written: what corrections have changed, and places of keywords.

use std::collections::HashMap;

use crate::keepalived::{Config, Position, Statement};

/// Statements by their place. Those that a sequence repeats have the same.
#[derive(Debug)]
pub(super) struct Source<'a> {
    statements: HashMap<&'a Position, Vec<&'a Statement>>,
    top: &'a [Statement],
}

impl<'a> Source<'a> {
    pub(super) fn new(config: &'a Config) -> Self {
        let mut source = Self {
            statements: HashMap::new(),
            top: config.statements(),
        };
        source.add(config.statements());
        source
    }

    /// Blocks nest at most as deep as [`Limits::block_depth`](crate::keepalived::Limits).
    fn add(&mut self, statements: &'a [Statement]) {
        for statement in statements {
            let here = self.statements.entry(statement.position()).or_default();
            here.push(statement);
            if let Some(block) = statement.block() {
                self.add(block.statements());
            }
        }
    }

    /// The statements at a place.
    pub(super) fn at(&self, position: &Position) -> &[&'a Statement] {
        self.statements.get(position).map_or(&[], Vec::as_slice)
    }

    /// The last statement with this keyword in the block at a place: the one that counts.
    pub(super) fn inside(&self, block: &Position, keyword: &str) -> Option<&'a Statement> {
        let statements = self.at(block).first()?.block()?.statements();
        last(statements, keyword)
    }

    /// The last statement with this keyword in `global_defs`.
    pub(super) fn global(&self, keyword: &str) -> Option<&'a Statement> {
        let blocks = self.top.iter().rev();
        let blocks = blocks.filter(|statement| statement.keyword() == "global_defs");
        blocks
            .filter_map(Statement::block)
            .find_map(|block| last(block.statements(), keyword))
    }
}

fn last<'a>(statements: &'a [Statement], keyword: &str) -> Option<&'a Statement> {
    let mut statements = statements.iter().rev();
    statements.find(|statement| statement.keyword() == keyword)
}

/// A statement without its block, its words parted by single blanks.
pub(super) fn line(statement: &Statement) -> String {
    let mut line = statement.keyword().to_owned();
    for word in statement.arguments() {
        line.push(' ');
        line.push_str(word.text());
    }
    line
}
