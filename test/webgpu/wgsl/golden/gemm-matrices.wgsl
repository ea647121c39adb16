// gemm[32x64x16] 64x128x48
enable f16;
enable chromium_experimental_subgroup_matrix;
enable subgroups;
requires subgroup_id;

@group(0) @binding(0) var<storage, read> A: array<vec4<f16>>; // fp16[64, 48]
@group(0) @binding(1) var<storage, read> B: array<vec4<f16>>; // fp16[48, 128]
@group(0) @binding(2) var<storage, read_write> C: array<vec4<f16>>; // fp16[64, 128]

var<workgroup> As: array<vec4<f16>, 256>; // [32, 16] × 2 buffers
var<workgroup> Bs: array<vec4<f16>, 512>; // [16, 64] × 2 buffers
var<workgroup> acc_whole: array<f32, 2048>; // [32, 64]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(subgroup_id) subgroup_number: u32, @builtin(subgroup_size) subgroup_lanes: u32, @builtin(subgroup_invocation_id) subgroup_lane: u32) {
  let lane = i32(subgroup_number * subgroup_lanes + subgroup_lane);
  let x = i32(wid.x);
  let y = i32(wid.y);
  var acc: array<f32, 32>;
  var acc_matrices: array<subgroup_matrix_result<f32, 16, 16>, 4>;
  acc_matrices[0] = subgroup_matrix_result<f32, 16, 16>();
  acc_matrices[1] = subgroup_matrix_result<f32, 16, 16>();
  acc_matrices[2] = subgroup_matrix_result<f32, 16, 16>();
  acc_matrices[3] = subgroup_matrix_result<f32, 16, 16>();
  for (var t = 0; t < 3; t++) {
    // As = A[y * 32 : +32, t * 16 : +16]   # up to 1 ahead
    {
      let base = y * 384 + t * 4;
      for (var e = lane; e < 128; e += 64) {
        let r = e / 4;
        let c4 = e % 4;
        As[(t % 2) * 128 + r * 4 + c4] = A[base + r * 12 + c4];
      }
    }
    // Bs = B[t * 16 : +16, x * 64 : +64]   # up to 1 ahead
    {
      let base = t * 512 + x * 16;
      for (var e = lane; e < 256; e += 64) {
        let r = e / 16;
        let c4 = e % 16;
        Bs[(t % 2) * 256 + r * 16 + c4] = B[base + r * 32 + c4];
      }
    }
    workgroupBarrier();
    // acc += As · Bs
    {
      let left0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&As, u32((t % 2) * 512) / 4, 4);
      let left1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&As, (u32((t % 2) * 512) + 256) / 4, 4);
      let right0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&Bs, (u32((t % 2) * 1024) + subgroup_number * 32) / 4, 16);
      let right1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&Bs, (u32((t % 2) * 1024) + subgroup_number * 32 + 16) / 4, 16);
      acc_matrices[0] = subgroupMatrixMultiplyAccumulate(left0, right0, acc_matrices[0]);
      acc_matrices[1] = subgroupMatrixMultiplyAccumulate(left0, right1, acc_matrices[1]);
      acc_matrices[2] = subgroupMatrixMultiplyAccumulate(left1, right0, acc_matrices[2]);
      acc_matrices[3] = subgroupMatrixMultiplyAccumulate(left1, right1, acc_matrices[3]);
    }
  }
  // acc from matrices
  {
    subgroupMatrixStore<row_major>(&acc_whole, subgroup_number * 32, acc_matrices[0], 64);
    subgroupMatrixStore<row_major>(&acc_whole, subgroup_number * 32 + 16, acc_matrices[1], 64);
    subgroupMatrixStore<row_major>(&acc_whole, subgroup_number * 32 + 1024, acc_matrices[2], 64);
    subgroupMatrixStore<row_major>(&acc_whole, subgroup_number * 32 + 1040, acc_matrices[3], 64);
  }
  workgroupBarrier();
  for (var i = 0; i < 4; i++) {
    for (var j = 0; j < 8; j++) {
      acc[i * 8 + j] = acc_whole[(i * 8 + lane / 8) * 64 + (j / 4) * 32 + (lane % 8) * 4 + j % 4];
    }
  }
  // C[y * 32 : +32, x * 64 : +64] = acc
  {
    let base = y * 1024 + x * 16;
    for (var i = 0; i < 4; i++) {
      for (var j4 = 0; j4 < 2; j4++) {
        C[base + (i * 8 + lane / 8) * 32 + j4 * 8 + lane % 8] = vec4<f16>(vec4<f32>(acc[i * 8 + j4 * 4], acc[i * 8 + j4 * 4 + 1], acc[i * 8 + j4 * 4 + 2], acc[i * 8 + j4 * 4 + 3]));
      }
    }
  }
}
