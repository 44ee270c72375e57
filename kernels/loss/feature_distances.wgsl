// Computes the distance between the features of student (s) and teacher (t) for each row, and the size of the
// teacher's:
//
//   distances[n] = sum over features of (s[n] - t[n])^2,   squares[n] = sum over features of t[n]^2
//
// Shapes: features (s) and teacher_features (t) (rows, quads), padded with zeros; distances and squares (rows). One
// workgroup computes one row. Each invocation adds every 64th quad in order; a fixed tree adds the 64 sums.
// Dispatched by src/plan/features.ts.

struct Params {
  rows: u32,
  quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> features: array<vec4f>;
@group(0) @binding(2) var<storage, read> teacher_features: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> distances: array<f32>;
@group(0) @binding(4) var<storage, read_write> squares: array<f32>;

var<workgroup> sums: array<vec2f, 64>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.y * groups.x + group.x;
  if (row >= params.rows) {
    return;
  }
  var sum = vec2f(0.0);
  for (var quad = lane; quad < params.quads; quad += 64u) {
    let wanted = read_teacher_features(row * params.quads + quad);
    let difference = read_features(row * params.quads + quad) - wanted;
    sum += vec2f(dot(difference, difference), dot(wanted, wanted));
  }
  sums[lane] = sum;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (lane < half) {
      sums[lane] += sums[lane + half];
    }
    workgroupBarrier();
  }
  if (lane == 0u) {
    distances[row] = sums[0].x;
    squares[row] = sums[0].y;
  }
}
