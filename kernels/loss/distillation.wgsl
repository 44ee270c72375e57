// Adds knowledge distillation to a loss and its gradient: a share of both comes from a teacher's softened
// predictions.
//
//   loss[n] = (1 - share) loss[n] + share T^2 KL(q_teacher || q_student),    q = softmax(logits / T)
//   dz[n]   = (1 - share) dz[n]   + share T (q_student - q_teacher) / step.count
//
// The losses (words) and dlogits are those of loss/softmax_cross_entropy.wgsl. If a row's loss, or one of its
// logits or the teacher's, is not finite, its loss becomes NOT_FINITE. Rows from step.count on are padding and stay
// zero.
// Shapes: logits, teacher_logits and dlogits (rows, quads); losses (rows). One invocation computes one row and adds
// in the order of the classes. Dispatched by src/plan/distillation.ts.
// Source: Hinton, Vinyals and Dean 2015, arXiv 1503.02531.

// include dispatch
// include math/finite

struct Params {
  rows: u32,
  quads: u32,
  classes: u32,
  share: f32,
  temperature: f32,
}

struct Step {
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> logits: array<vec4f>;
@group(0) @binding(3) var<storage, read> teacher_logits: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> losses: array<u32>;
@group(0) @binding(5) var<storage, read_write> dlogits: array<vec4f>;

// The quad's values, with minus the largest float where there is no class.
fn where_class(quad: u32, value: vec4f) -> vec4f {
  let class_index = vec4u(4u * quad) + vec4u(0u, 1u, 2u, 3u);
  return select(vec4f(-3.4028234e38), value, class_index < vec4u(params.classes));
}

fn largest_of(value: vec4f) -> f32 {
  return max(max(value.x, value.y), max(value.z, value.w));
}

// The sum of the lanes that are classes, in their order.
fn total(quad: u32, value: vec4f) -> f32 {
  let class_index = vec4u(4u * quad) + vec4u(0u, 1u, 2u, 3u);
  let inside = select(vec4f(0.0), value, class_index < vec4u(params.classes));
  return ((inside.x + inside.y) + inside.z) + inside.w;
}

// The logits of student and teacher, with 0 where one is not finite; its row is marked.
fn student_at(i: u32) -> vec4f {
  return quad_or_zero(read_logits(i));
}

fn teacher_at(i: u32) -> vec4f {
  return quad_or_zero(read_teacher_logits(i));
}

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let row = invocation_index(invocation, 64u);
  if (row >= params.rows || row >= step.count) {
    return;
  }
  let first = row * params.quads;
  var student_largest = -3.4028234e38;
  var teacher_largest = -3.4028234e38;
  var is_sound = is_finite_word(losses[row]);
  for (var quad = 0u; quad < params.quads; quad++) {
    let student = where_class(quad, read_logits(first + quad));
    let teacher = where_class(quad, read_teacher_logits(first + quad));
    is_sound = is_sound && all_finite(student) && all_finite(teacher);
    student_largest = max(student_largest, largest_of(quad_or_zero(student)));
    teacher_largest = max(teacher_largest, largest_of(quad_or_zero(teacher)));
  }
  var student_sum = 0.0;
  var teacher_sum = 0.0;
  for (var quad = 0u; quad < params.quads; quad++) {
    let student = (student_at(first + quad) - vec4f(student_largest)) / params.temperature;
    let teacher = (teacher_at(first + quad) - vec4f(teacher_largest)) / params.temperature;
    student_sum += total(quad, exp(student));
    teacher_sum += total(quad, exp(teacher));
  }
  let student_log_sum = log(student_sum);
  let teacher_log_sum = log(teacher_sum);
  let scale = params.share * params.temperature / f32(step.count);
  var divergence = 0.0;
  for (var quad = 0u; quad < params.quads; quad++) {
    let i = first + quad;
    let student = (student_at(i) - vec4f(student_largest)) / params.temperature;
    let teacher = (teacher_at(i) - vec4f(teacher_largest)) / params.temperature;
    let wanted = exp(teacher) / teacher_sum;
    let distance = (teacher - vec4f(teacher_log_sum)) - (student - vec4f(student_log_sum));
    divergence += total(quad, wanted * distance);
    let gradient = (1.0 - params.share) * read_dlogits(i) + scale * (exp(student) / student_sum - wanted);
    let class_index = vec4u(4u * quad) + vec4u(0u, 1u, 2u, 3u);
    write_dlogits(i, select(vec4f(0.0), gradient, class_index < vec4u(params.classes)));
  }
  let softened = params.share * params.temperature * params.temperature * divergence;
  losses[row] = finite_word((1.0 - params.share) * word_or_zero(losses[row]) + softened, is_sound);
}
