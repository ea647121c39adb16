// softmax[4x2048]
enable subgroups;
requires subgroup_id;

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>; // fp32[8, 2048]
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>; // fp32[8, 2048]

var<workgroup> meet0: array<f32, 256>;
var<workgroup> meet1: array<f32, 256>;

@compute @workgroup_size(1024)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(subgroup_id) subgroup_number: u32, @builtin(subgroup_size) subgroup_lanes: u32, @builtin(subgroup_invocation_id) subgroup_lane: u32) {
  let lane = i32(subgroup_number * subgroup_lanes + subgroup_lane);
  let i_1 = i32(wid.x);
  var t: array<f32, 8>;
  var top: f32;
  var total: f32;
  // t = x[i * 4 : +4, 0 : +2048]
  {
    let base = i_1 * 2048;
    for (var j4 = 0; j4 < 2; j4++) {
      {
        let four = x[base + (lane / 256) * 512 + j4 * 256 + lane % 256];
        t[j4 * 4] = four.x;
        t[j4 * 4 + 1] = four.y;
        t[j4 * 4 + 2] = four.z;
        t[j4 * 4 + 3] = four.w;
      }
    }
  }
  // top = max of t along cols
  {
    var part = (-3.4028234663852886e+38f);
    for (var j = 0; j < 8; j++) {
      part = max(part, t[j]);
    }
    part = subgroupMax(part);
    if ((lane % 256) % 4 == 0) {
      meet0[(lane / 256) * 64 + (lane % 256) / 4] = select((-3.4028234663852886e+38f), part, subgroup_lane == 0u);
    }
  }
  workgroupBarrier();
  if (lane % 256 < 8) {
    {
      let base = (lane / 256) * 64 + lane % 256;
      var part = meet0[base];
      for (var other = 1; other < 8; other++) {
        part = max(part, meet0[base + other * 8]);
      }
      meet0[base] = part;
    }
  }
  workgroupBarrier();
  {
    var part = meet0[(lane / 256) * 64];
    for (var other = 1; other < 8; other++) {
      part = max(part, meet0[(lane / 256) * 64 + other]);
    }
    top = part;
  }
  // t = exp2(mul(sub(t, top), 1.4426950408889634))
  for (var j = 0; j < 8; j++) {
    t[j] = exp2(((t[j] - top) * 1.4426950408889634));
  }
  // total = sum of t along cols
  {
    var part = 0.0;
    for (var j = 0; j < 8; j++) {
      part = part + t[j];
    }
    part = subgroupAdd(part);
    if ((lane % 256) % 4 == 0) {
      meet1[(lane / 256) * 64 + (lane % 256) / 4] = select(0.0, part, subgroup_lane == 0u);
    }
  }
  workgroupBarrier();
  if (lane % 256 < 8) {
    {
      let base = (lane / 256) * 64 + lane % 256;
      var part = meet1[base];
      for (var other = 1; other < 8; other++) {
        part = part + meet1[base + other * 8];
      }
      meet1[base] = part;
    }
  }
  workgroupBarrier();
  {
    var part = meet1[(lane / 256) * 64];
    for (var other = 1; other < 8; other++) {
      part = part + meet1[(lane / 256) * 64 + other];
    }
    total = part;
  }
  // t = mul(t, rcp(total))
  for (var j = 0; j < 8; j++) {
    t[j] = (t[j] * (1.0 / total));
  }
  // y[i * 4 : +4, 0 : +2048] = t
  {
    let base = i_1 * 2048;
    for (var j4 = 0; j4 < 2; j4++) {
      y[base + (lane / 256) * 512 + j4 * 256 + lane % 256] = vec4<f32>(t[j4 * 4], t[j4 * 4 + 1], t[j4 * 4 + 2], t[j4 * 4 + 3]);
    }
  }
}
