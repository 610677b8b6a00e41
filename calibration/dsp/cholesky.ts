/**
 * Solves R x = p for a symmetric, positive definite R (normal equations of a least-squares fit) by Cholesky's factors.
 * @param r row by row, at least its lower triangle; overwritten by the factor
 * @param p overwritten by x, and returned
 */
export function solveCholesky(r: Float64Array, p: Float64Array): Float64Array {
  const n = p.length;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = r[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= r[i * n + k]! * r[j * n + k]!;
      r[i * n + j] = i === j ? Math.sqrt(sum) : sum / r[j * n + j]!;
    }
  }
  for (let i = 0; i < n; i++) {
    let sum = p[i]!;
    for (let k = 0; k < i; k++) sum -= r[i * n + k]! * p[k]!;
    p[i] = sum / r[i * n + i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    let sum = p[i]!;
    for (let k = i + 1; k < n; k++) sum -= r[k * n + i]! * p[k]!;
    p[i] = sum / r[i * n + i]!;
  }
  return p;
}
