// Core of convolutions by 3 x 3 filters at stride 1 as Winograd's F(2 x 2, 3 x 3), for subgroups of 8. A workgroup
// of one subgroup computes a block of 32 tiles of 2 x 2 pixels x COLUMNS channels, which are 32 or 16.
//
//   out = A^T [sum over input channels of (G w G^T) * (B^T d B)] A,  d the 4 x 4 inputs under a tile, * by elements
//   B^T = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1],  A^T = [1 1 1 0; 0 1 -1 -1],  G as in winograd/weight.wgsl
//
// That is 16 products per tile instead of 36. A lane computes four tiles side by side x COLUMNS channels, one line of
// the transform after the other. The four sums of a line, over the quads of the input channels in order, are then
// added to the outputs. Each lane loads one strip of four channels of a filter, and shares it by a broadcast of a
// constant lane. With 16 channels half of the lanes hold all of them in one column of the transform, and the others in
// the next column. All bounds come from params and workgroup_id, so control flow is uniform around the broadcasts.
// An operation gives the columns of B^T d (winograd/tiles.wgsl), filters_at, load_filters and store_tile. Rounding
// errors are about those of direct sums (docs/architecture.md). A value that is not finite spreads over its tile.
// It runs only on adapters on which a probe (src/gpu/subgroups.ts) found subgroups of SUBGROUP_SIZE lanes.
// Dispatched by src/kernels/winograd.ts.
// Source: Lavin and Gray 2015, arXiv 1509.09308, section 4.1; gemm/software/subgroup_columns.wgsl (broadcasts).

// let STRIPS = COLUMNS / 4
// let PARTS = 8 / STRIPS

// include gemm/software/subgroup_broadcast

const BLOCK_ROWS = 128u;
const BLOCK_COLUMNS = ${COLUMNS}u;
const BLOCKS_PER_WORKGROUP = 1u;
const LANE_ROWS = 16u;
const LANE_COLUMNS = ${COLUMNS}u;
const SUBGROUP_SIZE = 8u;

// Sums of products in one place of a line: a matrix of four tiles x four channels for each strip of channels.
struct Sums {
  c_${j}: mat4x4f,  // for j in 0..STRIPS
}

// Adds products by the filters that the lanes of a part hold.
// for part in 0..PARTS
fn add_products_${part}(sums: ptr<function, Sums>, own: mat4x4f, a: mat4x4f) {
  (*sums).c_${j} += from_lane_${STRIPS * part + j}(own) * a;  // for j in 0..STRIPS
}

// end
// The pixels of four tiles in four channels, a matrix for each place in the tile, a column a tile.
struct Outputs {
  upper_left: mat4x4f,
  upper_right: mat4x4f,
  lower_left: mat4x4f,
  lower_right: mat4x4f,
}

// Adds a line of the transform to the outputs: its columns by A, times its factors in the two lines of A^T.
fn fold(outputs: ptr<function, Outputs>, m_0: mat4x4f, m_1: mat4x4f, m_2: mat4x4f, m_3: mat4x4f, weight: vec2f) {
  let left = m_0 + m_1 + m_2;
  let right = m_1 - m_2 - m_3;
  (*outputs).upper_left += weight.x * left;
  (*outputs).upper_right += weight.x * right;
  (*outputs).lower_left += weight.y * left;
  (*outputs).lower_right += weight.y * right;
}

// Stores the first tile's pixels, in line order, and moves the other tiles up.
fn store_first(at: TilePosition, tile: u32, column: u32, outputs: ptr<function, Outputs>) {
  let o = *outputs;
  store_tile(at, tile, column, mat4x4f(o.upper_left[0], o.upper_right[0], o.lower_left[0], o.lower_right[0]));
  (*outputs).upper_left = mat4x4f(o.upper_left[1], o.upper_left[2], o.upper_left[3], o.upper_left[0]);
  (*outputs).upper_right = mat4x4f(o.upper_right[1], o.upper_right[2], o.upper_right[3], o.upper_right[0]);
  (*outputs).lower_left = mat4x4f(o.lower_left[1], o.lower_left[2], o.lower_left[3], o.lower_left[0]);
  (*outputs).lower_right = mat4x4f(o.lower_right[1], o.lower_right[2], o.lower_right[3], o.lower_right[0]);
}

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let block = group.y * groups.x + group.x;
  let column_blocks = (params.columns + BLOCK_COLUMNS - 1u) / BLOCK_COLUMNS;
  let at = position_of((block / column_blocks) * SUBGROUP_SIZE + lane);
  let column = (block % column_blocks) * BLOCK_COLUMNS;
  let tiles = tiles_at(at);
  let filters = filters_at(column + 4u * (lane % ${STRIPS}u));
  let part = lane / ${STRIPS}u;
  var outputs_${j} = Outputs();  // for j in 0..STRIPS
  // Loops test last: to leave one that tests first, llvmpipe runs a round with all lanes off.
  var line = 0u;
  loop {
    let lines = lines_at(tiles, line);
    var m_${x} = Sums();  // for x in 0..4
    var quad = 0u;
    loop {
      let d_${x} = load_tile_column(lines, ${x}u, quad);  // for x in 0..10
      let own_${x} = load_filters(filters, line, ${PARTS * x}u + part, quad);  // for x in 0..4 / PARTS
      add_products_0(&m_0, own_0, mat4x4f(d_0 - d_2, d_2 - d_4, d_4 - d_6, d_6 - d_8));
      add_products_${1 % PARTS}(&m_1, own_${1 / PARTS}, mat4x4f(d_1 + d_2, d_3 + d_4, d_5 + d_6, d_7 + d_8));
      add_products_0(&m_2, own_${2 / PARTS}, mat4x4f(d_2 - d_1, d_4 - d_3, d_6 - d_5, d_8 - d_7));
      add_products_${3 % PARTS}(&m_3, own_${3 / PARTS}, mat4x4f(d_1 - d_3, d_3 - d_5, d_5 - d_7, d_7 - d_9));
      quad++;
      if (quad >= image().quads) {
        break;
      }
    }
    let weight = vec2f(f32(line < 3u), select(-f32(line > 0u), 1.0, line == 1u));
    fold(&outputs_${j}, m_0.c_${j}, m_1.c_${j}, m_2.c_${j}, m_3.c_${j}, weight);  // for j in 0..STRIPS
    line++;
    if (line >= 4u) {
      break;
    }
  }
  // One tile after the other, since the code of the stores takes long to compile.
  var tile = 0u;
  loop {
    store_first(at, tile, column + ${4 * j}u, &outputs_${j});  // for j in 0..STRIPS
    tile++;
    if (tile >= 4u) {
      break;
    }
  }
}
