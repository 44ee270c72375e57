// Computes the backward pass of max pooling for windows that do not overlap (stride = kernel, no padding). Each
// window passes its dy to its first maximum in line order, and zero to its other pixels, as in PyTorch. Pixels at
// the right and lower edges that no window covers get zero. With GATED, dx is zero where x <= 0: the backward pass
// of a ReLU with output x.
//
// Shapes: x and dx (N, H, W, quads); dy (N, OH, OW, quads). The cells are the windows and the rest at the edges:
// cells = N * cells_high * cells_wide * quads. One invocation computes one quad of one cell. So every value of x is
// read once, and every value of dx is written once. Dispatched by src/model/layers/pool2d.ts.

// include dispatch

struct Params {
  cells: u32,
  cells_high: u32,
  cells_wide: u32,
  quads: u32,
  in_height: u32,
  in_width: u32,
  out_height: u32,
  out_width: u32,
  kernel_height: u32,
  kernel_width: u32,
}

override GATED: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> y: array<vec4f>;
@group(0) @binding(3) var<storage, read> dy: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4f>;

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
  let is_window = cell_y < params.out_height && cell_x < params.out_width;
  let window = ((image * params.out_height + cell_y) * params.out_width + cell_x) * params.quads + quad;
  let largest = select(vec4f(0.0), read_y(window), is_window);
  let gradient = select(vec4f(0.0), read_dy(window), is_window);
  // Channels whose maximum is still to come.
  var open = vec4<bool>(is_window);
  let end_y = min((cell_y + 1u) * params.kernel_height, params.in_height);
  let end_x = min((cell_x + 1u) * params.kernel_width, params.in_width);
  for (var in_y = cell_y * params.kernel_height; in_y < end_y; in_y++) {
    for (var in_x = cell_x * params.kernel_width; in_x < end_x; in_x++) {
      let pixel = ((image * params.in_height + in_y) * params.in_width + in_x) * params.quads + quad;
      let value = read_x(pixel);
      var takes = open & (value == largest);
      open = open & !takes;
      if (GATED) {
        takes = takes & (value > vec4f(0.0));
      }
      write_dx(pixel, select(vec4f(0.0), gradient, takes));
    }
  }
}
