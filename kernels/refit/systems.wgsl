// The layout of a batch of systems in quads. This file is part of the kernels that factor and solve systems.
//
// A system has `size` lines and columns. Below them lie the right side as a line and seven lines of zeros. If the
// diagonal of the inverse is wanted, `size` lines follow that stand for the identity and become L^-T. Block columns
// of 32 lie one after the other, each (systems, 8, lines) in quads of four columns, neighbouring lines side by
// side. Block column k starts with line 32 k and ends with line 32 k + 31 of the identity, because the rest is
// zero. So it has params.lines - params.shrink k lines, where shrink is 32 without an identity and 0 with one.

// What a line's number is to be added to for the place of quad `quad` of the line.
fn column_start(system: u32, quad: u32) -> u32 {
  let block = quad / 8u;
  let lines = params.lines - params.shrink * block;
  let before = params.lines * block - params.shrink * ((block * block - block) / 2u);
  return 8u * params.systems * before + (8u * system + quad % 8u) * lines - 32u * block;
}

// Where the record of a diagonal block stands among `inverses`, 192 quads: the inverses of the Cholesky factors of its
// halves L_00 and L_11, of 16 columns each, then L_10. Quad 16 i + 4 j + q of each is column 4 j + q of lines 4 i .. 4 i + 3.
fn record_start(system: u32, block: u32) -> u32 {
  return 192u * (block * params.systems + system);
}
