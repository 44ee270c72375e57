// Takes four neighbouring channels that may lie across two quads: lanes r to r + 3 of low and high side by side, 0
// <= r < 4. This file is part of kernels.

fn shift_lanes(low: vec4f, high: vec4f, r: u32) -> vec4f {
  switch (r) {
    case 0u: {
      return low;
    }
    case 1u: {
      return vec4f(low.yzw, high.x);
    }
    case 2u: {
      return vec4f(low.zw, high.xy);
    }
    default: {
      return vec4f(low.w, high.xyz);
    }
  }
}
