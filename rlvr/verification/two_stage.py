"""The same LaTeX parser, several times faster: ANTLR's two-stage parsing.

ANTLR's full prediction (LL) computes anew, for each pair of brackets, what its simpler prediction (SLL)
looks up. SLL gives the same tree or a syntax error, so it goes first and LL only where it fails
(Parr, Harwell and Fisher, "Adaptive LL(*) Parsing", OOPSLA 2014).
"""

from antlr4.atn.PredictionMode import PredictionMode
from latex2sympy2_extended import latex2sympy2
from latex2sympy2_extended.antlr_parser import PSParser


class TwoStage(latex2sympy2._Latex2Sympy):
    """Converts LaTeX to sympy; what `latex2sympy` makes for each call."""

    prediction = PredictionMode.SLL

    def create_parser(self, latex_str: str) -> PSParser:
        parser = super().create_parser(latex_str)
        parser._interp.predictionMode = self.prediction
        return parser

    def parse(self, latex_str: str) -> latex2sympy2.Basic:
        try:
            return super().parse(latex_str)
        except Exception:  # the one class it raises, for syntax and everything else
            self.prediction = PredictionMode.LL
            return super().parse(latex_str)


def install() -> None:
    """Let math-verify parse in two stages, in this process."""
    latex2sympy2._Latex2Sympy = TwoStage
