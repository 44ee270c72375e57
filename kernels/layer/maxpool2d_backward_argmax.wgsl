// Computes the backward pass of max pooling 2 x 2 with a ReLU before it, by the argmax that the forward pass kept
// (gemm/conv2d_forward_pooled.wgsl):
//
//   dx[n, 2 py + dy, 2 px + dx, c] = dy[n, py, px, c] if argmax[n, py, px, c] = 2 dy + dx, else 0
//
// Pixels at the edges that no window covers get zero.
// Shapes: dy and argmax (N, PH, PW, quads); dx (N, H, W, quads); cells = N * ceil(H / 2) * ceil(W / 2) * quads. One
// invocation computes one quad of the pixels of one window. Dispatched by src/model/layers/pool2d.ts.

// include dispatch

struct Params {
  cells: u32,
  cells_high: u32,
  cells_wide: u32,
  quads: u32,
  in_height: u32,
  in_width: u32,
  pooled_height: u32,
  pooled_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> argmax: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.cells) {
    return;
  }
  let cell = i / params.quads;
  let quad = i - cell * params.quads;
  let line = cell / params.cells_wide;
  let cell_x = cell - line * params.cells_wide;
  let image = line / params.cells_high;
  let cell_y = line - image * params.cells_high;
  let is_window = cell_y < params.pooled_height && cell_x < params.pooled_width;
  let window = ((image * params.pooled_height + cell_y) * params.pooled_width + cell_x) * params.quads + quad;
  let gradient = select(vec4f(0.0), read_dy(window), is_window);
  let place = read_argmax(window);
  for (var pixel = 0u; pixel < 4u; pixel++) {
    let in_y = 2u * cell_y + pixel / 2u;
    let in_x = 2u * cell_x + pixel % 2u;
    if (in_y < params.in_height && in_x < params.in_width) {
      let index = ((image * params.in_height + in_y) * params.in_width + in_x) * params.quads + quad;
      write_dx(index, select(vec4f(0.0), gradient, place == vec4f(f32(pixel))));
    }
  }
}
