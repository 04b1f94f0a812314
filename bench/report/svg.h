/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* svg.h: gnuplot's drawings, as parts of a page or files of their own, for light and dark. */
#ifndef RBX_REPORT_SVG_H
#define RBX_REPORT_SVG_H

#include <string>
#include <vector>

namespace report
{

/*
 * The colours of a picture. They keep their distance from each other for all kinds of eyes (those
 * of things that are compared are Okabe and Ito's), and shapes, dashes or words tell them apart as
 * well. Each has another one for dark paper.
 */
namespace ink
{
constexpr int text = 0x1f2328, quiet = 0x59636e, grid = 0xd6dce2;
constexpr int ours = 0x0072b2, variant = 0x6cb2dc, peer = 0x98a2ac, baseline = 0xc3cad1;
constexpr int worse = 0xd55e00;
constexpr int peers[] = {0xe69f00, 0x009e73, 0xcc79a7, 0xd55e01, 0x8c6bb1};
} // namespace ink

/* What gnuplot is to draw, and what is told to those who do not see it. */
struct Picture {
    std::string title, description;
    int width = 0, height = 0; /* in CSS pixels; it shrinks with the page */
    std::string script;
};

/* The svg element, its ids beginning with `id`. Throws a Complaint where gnuplot is missing. */
std::string draw(const Picture &picture, const std::string &id);

/* A file of its own, on its own paper. */
std::string draw_alone(const Picture &picture);

/* The rules that make the pictures of a page follow the reader's choice of light or dark. */
std::string dark_inks();

} // namespace report

#endif
