//! The words that commands, reports and documentation use, for `sim --help`.

/// One line per word, in the order in which a round meets them. A line fits a terminal of 80 columns.
pub const GLOSSARY: &str = "\
Words:
  round            one cycle of training, upload, judgement and update
  peer             trains on its pages and uploads a pseudo-gradient
  pseudo-gradient  what a peer uploads: the compressed result of its training
  slot, uid        a peer's place on the chain, and the number of that place
  validator        judges uploads, decides which count, sets the peers' pay
  put window       the part of a round in which an upload must arrive to count
  record           the signed list of the uploads that all nodes aggregate
  in sync          computed on the validator's model, as an upload should be
  loss score       how much a step along one peer's upload lowers the loss
  rating           a peer's skill over many loss scores: mean mu, spread sigma
  proof            of computation: the upload helps its own pages the most
  score            ranks peers; as published, rating x proof x sync score
  pay, incentive   a peer's share of what the chain pays in a round";
