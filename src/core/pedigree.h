// Pedigrees: order, inbreeding, the relationship matrix A and its inverse.
#pragma once

#include <vector>

#include "core/monitor.h"
#include "core/types.h"

namespace kinlmm {

// Parents of n animals, 0-based, -1 if unknown; in any order. An animal may be both a
// sire and a dam, even of one animal (selfing).
struct Pedigree {
  std::vector<int> sire, dam;
  Index size() const { return static_cast<Index>(sire.size()); }
};

// All animals, parents before their progeny; by generation, and within it as given.
// Throws Error pedigree_loop for an animal that is its own ancestor: its data, "1", "2",
// ..., are the animals of the loop, each a parent of the one before, and the first again.
std::vector<int> pedigree_order(const Pedigree& pedigree);

// Inbreeding coefficients, F_i = A_ii - 1. `order` is that of pedigree_order(), here and
// below. Time in proportion to the parents on the side (sires or dams) that has fewer,
// times their ancestors, / 8.
Vector inbreeding(const Pedigree& pedigree, const std::vector<int>& order, int threads,
                  Monitor& monitor);

// Variances of the Mendelian samplings, the diagonal of D in A = T D T'.
Vector mendelian_variances(const Pedigree& pedigree, const Vector& F);

// A (n x n) by the tabular method.
void numerator_relationship(const Pedigree& pedigree, const std::vector<int>& order,
                            MatrixRef A);

// The block of A of some animals (rows, no two the same), A[rows, rows] (m x m), without
// the rest of A: columns on their ancestors (Colleau 2002), m times the number of
// ancestors operations. D: mendelian_variances().
void relationship_block(const Pedigree& pedigree, const std::vector<int>& order,
                        const Vector& D, const std::vector<int>& rows, int threads,
                        Monitor& monitor, MatrixRef block);

// Dominance relationship (n x n) from A (n x n) as if no animal was inbred: 1 on the
// diagonal and (A_ss' A_dd' + A_sd' A_ds') / 4 for animals with parents s, d and s', d';
// 0 where a parent is unknown.
void dominance_relationship(const Pedigree& pedigree, ConstMatrixRef A, MatrixRef D);

// The upper triangle of a symmetric sparse matrix, by columns: rows `row` (ascending
// within a column) and values `value` of column j are at start[j], ..., start[j + 1] - 1.
struct SparseUpper {
  std::vector<int> start, row;
  std::vector<double> value;
};

// The inverse of A by Henderson's rules; D: mendelian_variances().
SparseUpper inverse_relationship(const Pedigree& pedigree, const Vector& D);

// Turns independent samplings of variance D (rows of u, n x t) into values of covariance
// A: u_i += (u_sire + u_dam) / 2.
void drop_values(const Pedigree& pedigree, const std::vector<int>& order, MatrixRef u);

}  // namespace kinlmm
