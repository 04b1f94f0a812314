/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* canvas.h: a gnuplot script that grows panel by panel; places are pixels from the top left. */
#ifndef RBX_REPORT_CANVAS_H
#define RBX_REPORT_CANVAS_H

#include "results.h"
#include "svg.h"

#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace report
{

struct Box {
    double left, top, right, bottom;
};

enum class Align { left, center, right };

class Canvas
{
  public:
    Canvas(int width, int height);

    /* Begins a panel: axes, labels and lines of the last one are gone. */
    void panel(const Box &box);
    /* A line of the script as it is. */
    Canvas &operator<<(const std::string &command);
    /* A text at "first 1, graph 0.5" or the like, whatever is in it. */
    void label(const std::string &text, const std::string &at, Align align, int size, int colour,
               bool bold = false);
    /* The same at a place of the whole picture. */
    void label_at(const std::string &text, double x, double y, Align align, int size, int colour,
                  bool bold = false);
    /* Rows of numbers, to be plotted under the name that it gives. */
    std::string data(const std::vector<std::vector<double>> &rows);
    /* Plots; with nothing to plot, only what was set. */
    void plot(const std::vector<std::string> &elements);

    Picture picture(const std::string &title, const std::string &description) const;

  private:
    int width, height, blocks = 0;
    std::ostringstream script;
};

std::string rgb(int colour);
int colour_of(Role role);

/* How wide a text is, about. */
double text_width(const std::string &text, int size);
/* As much of it as fits. */
std::string fitted(const std::string &text, double width, int size);

/* How a contender is drawn as a line. */
struct Style {
    int colour;
    double width;
    int point;
    int dash;
};
/* A style for each contender of the cases; the best peers get the colours that stand out. */
using Styles = std::vector<std::pair<std::string, Style>>;
Styles styles_of(const std::vector<const Case *> &cases);
std::string drawn_as(const Style &style);

/* Which is which: as lines are drawn, or bars. */
enum class Key { lines, bars };
double legend_height(const Styles &styles, double width);
void legend(Canvas &canvas, const Styles &styles, const Box &box, Key key = Key::lines);

/* How a case's numbers are shown: in a larger unit, or as a rate, of which more is better. */
struct Scale {
    double factor = 1;
    bool is_rate = false;
    std::string unit;

    double operator()(double value) const
    {
        return is_rate ? factor / value : factor * value;
    }
};
/* As pictures show it: a time a message as messages a second. */
Scale scale_of(const Case &c);
/* As tables show it. */
Scale unit_of(const Case &c);
/* The unit of all of them in a table, or nothing. */
std::string common_unit(const std::vector<const Case *> &cases);
/* A time of 0, or next to it, makes no rate that could be drawn. */
bool drawable(double shown);
/* "less is better" */
std::string direction(const Case &c, const Scale &scale);

} // namespace report

#endif
