r"""Answers that a model may write, or that look like the right one, beside their reference."""

# reference: answers that are right, and answers that are not
PAIRS: dict[str, tuple[list[str], list[str]]] = {
    r"\frac{3}{4}": (
        [
            r"\left(\frac{3}{4}\right)", r"\displaystyle\frac{3}{4}", r"\frac 3 4", r"\frac{3}4", "3/4",
            r"{3 \over 4}", "0.75", ".75", r"75\%", r"\frac{6}{8}", r"\frac{-3}{-4}"
        ],
        [r"\frac{4}{3}", r"\frac{34}{}", "3 4", "34", r"3\4", "0.74", "0.7"],
    ),
    r"-\frac{3}{4}": ([r"\frac{-3}{4}", r"\frac{3}{-4}", "-3/4"], []),
    r"2\sqrt{3}": (
        [
            r"\sqrt{12}", r"2\sqrt3", "2√3", "2*sqrt(3)", r"2\cdot\sqrt{3}", r"2\times 3^{1/2}",
            r"\sqrt{4}\sqrt{3}", r"2\sqrt{3}\,", "3.4641"
        ],
        ["3.46", r"\sqrt[2]{3}", r"\sqrt{23}", "23", r"\sqrt{2}3", r"\pm 2\sqrt{3}", r"\sqrt[3]{2}"],
    ),
    "x^2+1": (
        ["x^{2} + 1", "x²+1", "x**2+1", r"1+x\cdot x", "x^2+i^4", "f(x)=x^2+1", "y=x^2+1"],
        ["x2+1", "x^21", "x_2+1", "(x+1)^2", "x^{2+1}", "x^2+1=0", "x=x^2+1"],
    ),
    "e^2": (["e^{2}", r"\mathrm{e}^2", r"\exp(2)", "7.389"], ["7.39", "e2", "2e", "E^2"]),
    "3+4i": (
        [r"3+4\mathrm{i}", r"3+4\cdot i", "4i+3"],
        ["3+4j", "3-4i", "5", "|3+4i|", r"\overline{3-4i}", "(3,4)", "3+4I"],
    ),
    "5": (
        [
            "5 apples", "5 cm", r"5\,\text{cm}", r"5\;\mathrm{cm}^2", "5 cents", "5 percent", "5%",
            "5_{10}", "5 cubes", "5 pairs", "5 times", "5 per cent", "5/1", "5.0000000", r"5\pi/\pi",
            r"\frac{5}{1}", r"\frac{10}{2}", r"\sqrt{25}", "+5", r"\text{5}", r"\text{ 5 }", "{5}",
            "{{5}}", r"\left\{5\right\}", r"\$5", r"5\$", "5¢", "5°", "５．", '5\u2062', "2x+3y=5", "5=5",
            "f(3)=5", r"x\approx5", "x=4+1"
        ],
        [
            "101_2", "5_6", "5 squared", "5 thirds", "5 times 2", "5 to 1", "5 of 10", "5 out of 10",
            "5 in 6", "5 points more", "5 and a half", "5 minus 1", "5 + x", "5 less 1", "5 plus",
            "5 degrees below zero", "5 hundred", "5 k", "5M", "5B", "5K", "5 mod 7", "5th", "5's",
            "5 wrong", "5 or fewer", "5, I guess", "5 - not sure", "$5$ and $6$", r"5\text{ or }6", "5|6",
            r"5\|6", "5&6", "5 & 6", "5 6", '5\n6', r"5\newline6", r"5\hfill6", r"5\vert 6", r"5\;\;6",
            "5~6", "5.00000001", "5e", r"\pm\sqrt{25}", r"|\pm5|", r"-\pm5", r"\text{five}", r"\text{-5}",
            "5‰", "5′", "№5", "Ⅴ", "V", '5\u20e3', '5\ufe0f\u20e3', "⑤", "⒌", '5\u0301', '5\u20e0',
            r"\begin{pmatrix}5\end{pmatrix}", "x^2=5", "2x=5", "1=5", r"x\ne5", r"x\le5", "5=x=6", "x=5=6"
        ],
    ),
    r"5\text{ cm}": (["50 mm", "0.05 m"], ["5 mm", "5 inches", "5 cm^2", r"5\text{ cm}^3", "5 kg"]),
    r"60\text{ mph}": (["60 miles per hour", "60 mi/h", "1 mile per minute"], ["60 km/h", "60 hours"]),
    r"3\text{ hours}": (
        ["180 minutes", "3 hr", "3 hours 0 minutes"],
        ["3 hours 5 minutes", "3 days", "3:00"],
    ),
    r"9.8\text{ m/s}^2": (["9.8 m/s^2", "9.8"], ["9.8 m/s"]),
    r"25^\circ\text{C}": (["25°C", "25", "25 degrees Celsius"], ["25°F", "77°F"]),
    r"90^\circ": (["90", r"90\text{ degrees}"], [r"\frac{\pi}{2}", "90'", r"90^\circ 30'"]),
    r"\frac{\pi}{2}": (
        [r"\pi/2\text{ radians}", r"\frac{1}{2}\pi", "1.5708"],
        [r"90^\circ", "90", "1.57", r"\frac{180}{2}"],
    ),
    r"25\%": (
        ["25", "0.25", r"\frac14", "25 percent"],
        [
            r"2500\%", r"0.25\%", r"\frac{25}{100}\%", "25 percentage points", r"25\% off", r"-25\%",
            "25 per mille"
        ],
    ),
    "0.25": ([r"25\%"], []),
    "25": ([r"25\%", r"2500\%"], ["5 squared"]),
    r"12.5\%": ([r"\frac{1}{8}", r"12\frac12\%"], []),
    r"\$5": (
        ["5 dollars", "$5", "5.00", "500 cents", r"5\$", "USD 5"],
        ["5 cents", "€5", "5 euros", "-5", "$5 million", r"\$5 profit", "£5", "₹5"],
    ),
    r"\$1,234.50": (["1234.5", r"\$1{,}234.50"], ["1,234.05"]),
    r"\$1.5\text{ million}": (["1500000"], ["1.5"]),
    "[2,5)": (
        [
            r"2\le x<5", r"x\in[2,5)", r"\left[2,5\right)", "2≤x<5", "5>x≥2", r"x\ge2 \text{ and } x<5",
            r"[2,4)\cup[4,5)", r"[2,\infty)\cap(-\infty,5)"
        ],
        [
            "2<x<5", "(2,5]", "[2,5]", "2,5", r"\{2,5\}", r"2\le x \text{ or } x<5", "2 to 5", "2-5",
            r"[2,4)\cup(4,5)", r"\mathbb{R}", r"[2,5)\cup\{5\}", r"x \notin [2,5)"
        ],
    ),
    r"(-\infty,3)": (
        ["x<3", "3>x", r"(-\infty;3)", "(-inf, 3)", r"\{x : x<3\}"],
        [
            r"x\le3", "x>3", r"(\infty,3)", r"(3,\infty)", r"\{x \mid x \le 3\}", r"(-\infty,3]",
            r"\text{all real numbers less than 3}"
        ],
    ),
    "x>3": ([r"(3,\infty)", "-x<-3", "2x>6"], [r"x\geq 3", r"x\ne 3", "3", "x=3", "y>3", "x>4"]),
    r"\{1,2,3\}": (
        ["1,2,3", r"\{3,2,1\}", "{1,2,3}", r"\{1,2,3,3\}", r"\{1\}\cup\{2,3\}"],
        [
            r"\{1,2\}", r"\{1,2,3,4\}", "(1,2,3)", "[1,3]", "123", r"1\le x\le3", r"\{\{1,2,3\}\}",
            r"1,2,\ldots"
        ],
    ),
    r"\emptyset": ([r"\{\}", r"\varnothing", "∅"], ["no solution", r"\{\emptyset\}", r"\{0\}", "0"]),
    r"\begin{pmatrix}1\\2\end{pmatrix}": (
        [
            r"\begin{bmatrix}1\\2\end{bmatrix}", r"-\begin{pmatrix}-1\\-2\end{pmatrix}",
            r"\left(\begin{array}{c}1\\2\end{array}\right)", r"\begin{pmatrix}1\\ \frac{4}{2}\end{pmatrix}"
        ],
        [
            r"\begin{pmatrix}1&2\end{pmatrix}", r"\begin{pmatrix}2\\1\end{pmatrix}",
            r"\begin{vmatrix}1\\2\end{vmatrix}", "(1,2)", r"\begin{pmatrix}1\\2\\0\end{pmatrix}",
            r"\begin{pmatrix}1\\2\end{pmatrix}^T"
        ],
    ),
    r"\begin{pmatrix}1&2\\3&4\end{pmatrix}": (
        [],
        [
            r"\begin{pmatrix}1&3\\2&4\end{pmatrix}", r"\begin{vmatrix}1&2\\3&4\end{vmatrix}",
            r"\begin{pmatrix}1&2\\3&4\end{pmatrix}+0", "-2", "[[1,2],[3,4]]"
        ],
    ),
    "-2": (
        [r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", r"\left|\begin{matrix}1&2\\3&4\end{matrix}\right|"],
        [r"\begin{pmatrix}1&2\\3&4\end{pmatrix}"],
    ),
    "2^{100}": (
        ["1267650600228229401496703205376", "4^{50}", "2^{101}-2^{100}", "(2^{10})^{10}", "2^100"],
        ["1267650600228229401496703205377", "1.27e30", "2^{10}^{10}", "2100", "200", "2^{100}+1", "10^{30}"],
    ),
    "2^{2019}": ([r"2\cdot 2^{2018}"], ["2^{2018}", "2^{2019}-1"]),
    "10!": (["3628800", "3{,}628{,}800"], ["10", "362880"]),
    r"\binom{10}{3}": (
        ["120", r"\frac{10!}{3!7!}", r"{10 \choose 3}", r"\binom{10}{7}"],
        ["C(10,3)", r"\frac{10}{3}"],
    ),
    "42": (
        [
            "４２", "𝟒𝟐", "٤٢", "४२", "4２", '4\u200b2', r"\boxed{42}", r"\text{\boxed{42}}",
            r"41, \boxed{42}", r"\fbox{42}", r"\approx 42", "42.", "42,", "(42)", "[42]", "'42'", '"42"',
            "**42**", "`42`", "x = 42", "42 = x", "=42", "4.2e1", r"4.2\times10^1", "42e0", "42_{10}",
            r"\max\{41,42\}", r"\min\{42,43\}", r"\gcd(84,126)", r"\left\lfloor 42.9\right\rfloor",
            r"\{42\}", r"\lvert-42\rvert", r"\sqrt{42^2}", r"\sqrt{42}^2", "42^{1}", r"42\cdot1",
            r"42\times10^0", r"0.42\times10^2", r"4200\%", "6*7", "6·7", "6×7", "6(7)", "(6)(7)", "84/2",
            "84÷2", "84:2", "50-8", "50 - 8"
        ],
        [
            "④②", "4²", "四十二", "⁴²", "₄₂", '42\u0336', '4\u03272', r"\boxed{41} 42",
            "the answer is not 42", "42?", "42 or maybe 43", "approximately 42", r"\sim 42",
            "42 is too small", "about 42", "more than 42", "at least 42", "at most 42", "42+", "42-43",
            "41-43", r"42 \pm 1", "42!", "Answer: 42", r"\text{The answer is }42", r"42 \text{ (exact)}",
            "42 (or 43)", "42/43", "no. 42", "No 42", r"\neg 42", r"\overline{42}", r"\cancel{42}",
            r"\sout{42}", r"\not{42}", r"42\%\%", r"42\checkmark", "42 ✓", "<42", ">42", r"\le 42", "4 2",
            "42e1", "0x2A", "0b101010", "XLII", "forty-two", "42i", "42x", "42 mod 43", "42_8", r"\#42",
            r"\text{42nd}", "42th", r"\text{42 or 43}", r"\text{42 is it}", r"x=42\text{ or }43",
            "42 | 43", "42 vs 43", "42->43", r"42\to43", r"43\to42", r"42\implies43", r"42\Rightarrow 42",
            r"42\equiv42", "42≈42.1", "42~43", r"42\dots43", "42..43", "42…", r"42\ldots", r"\lim 42",
            r"\sum 42", r"\max 42", r"\text{lcm}(6,7)", r"\lceil 42.1\rceil", r"\{42,43\}",
            r"\langle42\rangle", r"\|42\|", "42²", "4² 2", "4^{2}", "4_2", "42^0", r"42\cdot0", r"420\%",
            "6x7", "6,7", "8-50", "-42", "(−42)", "-(42)", "(42)^-1", "42^{-1}", "1/42"
        ],
    ),
    "1/2": (["½"], ["¼"]),
    "5/2": (["2½"], []),
    "-5": (["−5", "–5", "—5", "‑5"], ["5-", "~5", "¬5"]),
    "3.14159": (["3.14159265", "3.1416", r"\pi"], []),
    "3.14": ([], [r"\pi", "3.1", "3.141", "3.14159", r"\frac{22}{7}"]),
    r"\pi": (["3.1416", "3.14159265358979"], ["3.14", r"\frac{22}{7}", "3.14159265358978"]),
    r"\frac13": (
        ["0.3333", r"0.\overline{3}", r"0.\dot{3}", r"33.33\%"],
        ["0.333", r"33\%", "0.34", r"0.\bar{3}3"],
    ),
    r"\frac23": (["0.6667", "0.6666"], ["0.6668", r"2\frac13"]),
    "1": ([r"0.\overline{9}", "2^1/2", "0!", "1!"], ["0.9999", "0.99999999", "1,1"]),
    "100": ([], ["99.99"]),
    "0": (
        ["-0", "0.0", "x-x", "0x", r"0\%"],
        ["0.00001", "1e-9", "10^{-20}", r"\emptyset", "none", "", "null", "0!"],
    ),
    "1000000": (["1e6", "10^6", "1,000,000", "1 000 000", "1 million"], ["1.000.000", "1000001"]),
    "1234567": (["1.234567e6"], ["1.2346e6"]),
    r"\frac{7}{3}": ([r"2\frac13", "2 1/3", "2 + 1/3"], [r"2\cdot\frac13", "21/3", r"1\frac43", "2, 1/3"]),
    "7": (["21/3"], []),
    r"-\frac{7}{3}": ([r"-2\frac13"], []),
    r"-\frac{5}{3}": ([], [r"-2\frac13"]),
    r"2\frac13": ([r"\frac73", "2.3333"], [r"\frac{2}{3}"]),
    "3:45 pm": (
        ["15:45", "3:45 PM", "3:45 p.m.", r"3\!:\!45\text{ PM}", "03:45 pm"],
        ["3:45", "3:45 am", "quarter to four", "345", "15.75"],
    ),
    "12:00": ([], ["noon", "0:00", "12"]),
    "3:45": ([], ["3/45", "1:15", "3:46", "3.75", "3 hours 45 minutes"]),
    "101_2": (["101", r"101_{\text{two}}", "(101)_2", "0101_2"], ["5", "5_{10}", "0b101", "101_3"]),
    "2A_{16}": (["2a_{16}", "2A"], ["42", "0x2A"]),
    "(1,2)": (
        [
            r"\left(1,2\right)", "(1;2)", "1,2", "x=1,y=2", "(x,y)=(1,2)", r"(\frac22,2)",
            r"\langle 1,2\rangle"
        ],
        [
            "(2,1)", "[1,2]", r"\{1,2\}", "(1,2,0)", "(1.2)", "(12)", "P(1,2)", "x=2,y=1", "(1,2),(3,4)",
            "1+2i"
        ],
    ),
    "(1,2),(3,4)": (
        ["(3,4),(1,2)", r"\{(1,2),(3,4)\}", "(1,2) or (3,4)"],
        ["(1,2)", "(1,4),(3,2)", "(1,2,3,4)", "(1,2),(3,4),(1,2)"],
    ),
    r"(3,\frac{\pi}{2})": ([r"(3,\pi/2)"], [r"(3,90^\circ)", "(0,3)"]),
    "1,2": (
        [
            "2,1", "1 and 2", "1, 2", "x=1 or x=2", "x_1=1, x_2=2", "1,2,", "1;2", r"1\text{ and }2",
            "(1),(2)", r"\{1\},\{2\}", r"1\quad2", "1 or 2", "{1,2}"
        ],
        [
            "1,2,3", "1", "12", "1.2", r"\pm1,2", "1..2", r"1\\2", "1 2", "1-2", "[1,2]", "1 or 3",
            "1, 2, and 3"
        ],
    ),
    "1,-1": ([r"\pm 1", r"\mp 1", "±1"], ["1", "|x|=1"]),
    r"\pm1": (["-1,1"], ["1"]),
    r"1\pm\sqrt2": ([r"1+\sqrt2,1-\sqrt2"], [r"1+\sqrt2", r"\pm1\pm\sqrt2", r"1\pm\sqrt{2}i"]),
    "2,3": ([], ["2x3", "6"]),
    r"3\pmod 7": (["3", r"3 \bmod 7"], [r"10\pmod 7", r"3\pmod 8", r"4\pmod 7"]),
    r"x\equiv 3\pmod{7}": (
        [r"x\equiv3 (mod 7)"],
        ["x=3", r"x\equiv 3\pmod{8}", r"x\equiv 4\pmod{7}", "x=7k+3"],
    ),
    "|x|": ([r"\sqrt{x^2}", r"\max(x,-x)"], ["x", r"\pm x", "-x"]),
    r"\lfloor x\rfloor": ([], ["x", r"\lceil x\rceil", r"\lceil x\rceil-1"]),
    r"\lfloor 3.7\rfloor": (["3"], ["4"]),
    "y=2x+1": (
        ["2x+1", "y-2x-1=0", "2y=4x+2"],
        ["x=2y+1", "y=2x-1", "Y=2X+1", "f(x)=2x+1", "y>2x+1", "0=0", "y=y"],
    ),
    "x^2+y^2=4": (["x^2+y^2-4=0"], ["x^2+y^2=2", "(x^2+y^2-4)^2=0", "x^2+y^2=4z", "4"]),
    "x=5": (["5", "x=5.0", "5=x", "2x=10"], ["y=5", "x=-5", r"x\neq5"]),
    r"\sin^2x": ([r"(\sin x)^2", r"1-\cos^2x", r"\frac{1-\cos 2x}{2}"], [r"\sin x^2", r"\sin(\sin x)"]),
    r"\sin 2x": ([r"2\sin x\cos x"], [r"2\sin x"]),
    r"\sin^{-1}x": ([r"\arcsin x"], [r"\frac{1}{\sin x}"]),
    r"\tan 30^\circ": ([r"\frac{1}{\sqrt3}"], [r"\tan 30"]),
    r"\log_2 8": (["3"], []),
    r"\log 100": (["2"], []),
    r"\ln 100": ([], ["2"]),
    r"\log_{10}5": ([r"\log 5", r"\log_{10} 5"], []),
    r"\log_2 5": ([r"\frac{\ln5}{\ln2}"], [r"\log 25"]),
    r"\ln2": ([r"\log_e 2"], []),
    "2:3": (["4:6", "2/3", r"\frac23", "0.6667"], ["3:2", "2,3", "(2,3)", "2:3:0"]),
    "1:2:3": (["2:4:6"], ["1:2", "1,2,3"]),
    "Yes": (["yes", r"\text{Yes}", "Yes."], ["no", "yes and no", "not yes", "Y", "yes, it is"]),
    "no solution": (["No Solution"], ["solution", r"\text{no real solution}", "0"]),
    "even": ([], ["odd", "neven", "not even", "even or odd"]),
    "Monday": (["monday"], ["Mon"]),
    "A": ([r"\text{A}", "(A)", r"\mathrm{A}"], ["a", "B", "A, B", "A or B"]),
    "ABC": ([], ["CBA", "A B C", r"\triangle ABC"]),
    r"\text{undefined}": (["undefined"], ["0"]),
    r"\infty": ([r"+\infty", "infinity"], [r"-\infty", "1e400"]),
    r"-\infty": (["-inf"], []),
    "4": (
        [
            "2+2", "5-1", "2^2", r"\sqrt{16}", r"\{4\}", "4=4", "4^{1}", r"4\cdot\sin^2x+4\cos^2x", "4+0x",
            "4x^0", r"\frac{4x}{x}", "4y/y", r"4\phantom{2}", r"\underline{4}", r"4.\overline{0}", "04",
            "4.0000", "+4", "-(-4)", "|−4|", "(-2)^2"
        ],
        [
            "4,4", "4;4", "4 4", "4=5", "5=4", "3<4", "x>3", r"\in\{1,2,3,4\}", "1,2,3,4", "[4,4]",
            "[3,5]", r"4\hspace{1cm}2", r"4\\5", '4\n5', "4%comment", r"4\label{a}", r"\href{x}{4}",
            r"\underbrace{4}_{5}", r"\overset{5}{4}", "4^*", r"4^\dagger", r"\hat{4}", "4.0001", "4 mod 5",
            "four", "4 four", "-2^2"
        ],
    ),
    "four": ([], ["4"]),
    "12": ([r"12\text{}", "1 dozen"], ["1 2", r"1\,2", "1{,}2", "twelve", "a dozen"]),
    "0.5": (["1/2", ".5", "5e-1", r"50\%", "0.50"], ["0,5", "0.5x"]),
    "|x-1000|": (["|1000-x|"], ["1000-x"]),
    "|x+500|": ([], ["x+500"]),
    r"\max(x,200)": ([], ["200"]),
    r"\min(n,100)": ([], ["n"]),
    r"\sqrt{(x-1000)^2}": ([], ["1000-x"]),
    r"\lfloor x/1000\rfloor": ([], ["0"]),
    "|x|+|x-2000|": ([], ["2000"]),
    "|a-b|": (["|b-a|"], ["b-a"]),
    r"\lceil\frac{n}{1000}\rceil": ([], ["1"]),
    r"\sqrt{x+1000}": ([r"\sqrt{x+1000}+0\cdot x"], []),
    r"(3,\infty)": (
        [r"\{x\in\mathbb{R} : x>3\}", r"\{t : t>3\}"],
        [
            r"\{x^2 : x>3\}", r"\{-x \mid x>3\}", r"\{y : x>3\}", r"\{(x,y) : x>3\}",
            r"\{x\in\mathbb{Z} : x>3\}", r"\{2x : x>3\}", r"\{x \mid x>3, x\neq 5\}"
        ],
    ),
    r"\vec{AB}": ([], [r"\vec{BA}"]),
    r"\overrightarrow{AB}": ([], [r"\vec{AB}"]),
    r"\angle ABC": ([r"\angle ABC"], [r"\angle ACB"]),
    "x_1": ([], ["x_2"]),
    "x_{12}": ([], ["x_1 2"]),
    "a_1a_2": (["a_2a_1"], []),
    "f''(x)": ([], ["f'(x)"]),
    "f^{-1}(x)": ([], [r"\frac{1}{f(x)}"]),
    r"\alpha": (["α"], [r"\beta", "a"]),
    r"\phi": ([r"\varphi"], []),
    r"\Omega": ([], [r"\omega"]),
    "x₂": (["x_2"], []),
    "x^2": ([], ["x_2"]),
    "10^{-3}": (["0.001", "10^-3", "1/1000", "1e-3"], ["10-3", "10E-3", "10^3", "10^{-}3"]),
    r"1.5\times10^3": (
        ["1500", "1.5e3", r"15\times10^2", "1.5*10^3", "1.5x10^3"],
        [r"1.5\times10^{-3}", "1.5 10^3", "1.5"],
    ),
    r"\sqrt2": (["2^{1/2}", "2^{0.5}", r"2^\frac12"], ["2^1/2", "1.415", "1.413", "1.41"]),
    "-x^2": ([], ["(-x)^2"]),
    r"\frac{1}{2x}": (["1/(2x)"], ["1/2x"]),
    r"\frac{x}{2}": (["1/2x"], []),
    r"\frac{a}{bc}": (["a/b/c"], ["a/bc"]),
    r"\frac{ac}{b}": (["a/(b/c)"], []),
    "3.5": ([r"3\tfrac12", r"3\,\frac12"], ["3,5", r"3\cdot\frac12"]),
    "3,5": (["5,3"], ["3.5"]),
    r"5^\circ": ([], ["5'"]),
    r"1\frac12x": ([r"\frac32x"], []),
    r"-1\frac12": (["-1.5"], ["-0.5"]),
    r"\{1,2,3,\ldots\}": ([], [r"\{1,2,3\}"]),
    r"1,3,5,\ldots": ([], ["1,3,5"]),
    r"2,4,\dots,100": ([], ["2,4,100"]),
    r"(-\infty,1)\cup(6,\infty)": (
        ["x<1 or x>6", "x>6 or x<1", r"\mathbb{R}\setminus[1,6]"],
        [
            "x<1 and x>6", "x<1,x>6", r"x\le1 or x>6", r"(-\infty,1)\cap(6,\infty)", r"x\notin[1,6]",
            r"(-\infty,1),(6,\infty)", "1<x<6"
        ],
    ),
    r"\mathbb{R}": (
        [r"(-\infty,\infty)", "all real numbers", r"x\in\mathbb{R}"],
        [r"\text{all real numbers except }2", r"\mathbb{Z}", "R", r"\mathbb{R}\setminus\{0\}"],
    ),
    r"\mathbb{R}\setminus\{2\}": ([r"x\ne2", r"(-\infty,2)\cup(2,\infty)"], ["x=2", r"\mathbb{R}", r"\{2\}"]),
    "x^2=4": (["x^2-4=0", "4=x^2"], ["x=2"]),
    "xy=0": ([], ["x=0"]),
    "x=0": ([], ["xy=0"]),
    "x=y": (["2x=2y", "y=x", r"\frac{x}{y}=1"], ["x^2=y^2", "x-y=1", "x+y=0"]),
    r"\text{(C)}": (["C", "(C)", r"\text{C}", r"\textbf{(C)}"], ["B", "C, D", "not C", r"\textbf{(C)}\ 5"]),
    "C": (["C."], ["C)"]),
    "Evelyn": (
        ["Evelyn?", r"\textbf{Evelyn}"],
        [
            "Evelyn, not Ben", "Evelyn and Ben", "Evelyn or Ben", "Ben", "anyone but Evelyn",
            "Evelyn Evelyn", "E v e l y n"
        ],
    ),
    "no": ([], ["no solution"]),
    "10": ([], ["5 pairs"]),
    "500": (["5 hundred"], []),
    "5000": ([], ["5k"]),
    r"\frac{\pi}{6}+2k\pi": ([r"2\pi k+\pi/6"], [r"2\pi n+\pi/6", r"\frac{\pi}{6}", r"30^\circ"]),
    "3x^2+2x+1": (["3x^2+2x^1+1"], ["3x^2+2x+1+C"]),
    "x^2+C": ([], ["x^2", "x^2+c", "x^2+K"]),
    "2^n-1": (["2^{n}-1"], ["2^{n-1}", "2^n", "2^N-1"]),
    "n!": ([], ["n", r"\Gamma(n+1)"]),
    r"\frac{n(n+1)}{2}": (
        [r"\binom{n+1}{2}", "n(n+1)/2", r"\frac{n^2+n}{2}"],
        [r"\sum_{k=1}^n k", "n(n+1)2", r"\frac{n(n-1)}{2}"],
    ),
    "ab": ([r"a\cdot b"], []),
    "AB": ([], ["BA"]),
    "xyz": (["zyx"], []),
    "2ab": ([], ["2a+b", "ab2", "2AB"]),
    r"\frac{ab}{c}": ([r"\frac{a}{c}b", "ab/c"], []),
    "a+b": (["b+a"], ["a-b", "ab"]),
    "a^b": ([], ["b^a", "ab"]),
    "e^{x}": (["exp(x)", r"\exp{x}", r"\mathrm{e}^{x}"], ["ex", "e^{-x}"]),
    r"\ln x": ([r"\log_e x", r"\ln(x)"], [r"\log x", r"\ln|x|"]),
    r"1-\frac1e": ([r"\frac{e-1}{e}", "1-e^{-1}", "0.6321"], ["0.632", r"1+\frac1e"]),
    r"\frac{1+\sqrt5}{2}": (
        ["1.618", r"\frac{2}{\sqrt5-1}", "(1+√5)/2"],
        [r"\phi", r"\frac{1-\sqrt5}{2}", r"\frac{1\pm\sqrt5}{2}", r"1+\frac{\sqrt5}{2}"],
    ),
    r"\sqrt[3]{2}": (["2^{1/3}", "∛2", "1.2599"], [r"3\sqrt{2}", r"\sqrt{2}^3", "1.26"]),
    r"\sqrt[3]{-8}": (["-2"], []),
    r"\sqrt{-4}": (["2i"], ["-2i", "2"]),
    "i^2": (["-1"], []),
    "-1": (["i^2"], []),
    r"\frac{1}{i}": (["-i"], []),
    r"e^{i\pi}": (["-1"], []),
    "2i": ([], ["2j"]),
    "|3+4i|": (["5"], []),
    "0.1+0.2": (["0.3"], []),
    "0.3": ([], ["0.30000000000000004"]),
    r"\frac{1}{0.5}": (["2"], []),
    r"0.\overline{142857}": ([r"\frac17"], []),
    "1/7": (["0.142857"], ["0.143"]),
    "123456789": (["123,456,789"], ["123456788"]),
    "1e3": (["1000"], []),
    "-0.0": (["0"], []),
    "6": (["3!"], []),
    "3!": (["6"], ["3"]),
    r"300\text{ K}": (["300 K", "300", "300 kelvin"], [r"300^\circ\text{C}", r"300\text{ kK}"]),
    r"27^\circ\text{C}": ([], [r"27\text{ K}", r"300\text{ K}"]),
    r"0.\overline{3}": ([r"0.\bar{3}"], []),
    r"0.1\overline{6}": ([r"0.1\bar6"], []),
    r"\frac16": ([r"0.1\bar{6}"], [r"0.\bar{16}"]),
    r"\frac{16}{99}": ([r"0.\bar{16}"], []),
    "3": ([r"\log_28", r"\log_2 8", r"\log_{2}{8}"], [r"\log_82"]),
    r"\frac12": ([r"\sin 30^\circ", "cos 60°", r"\cos(60^{\circ})"], [r"\sin 30"]),
    r"\frac{\pi}{4}": ([r"\tan^{-1}(1)", r"\arctan 1"], [r"45^\circ"]),
    r"45^\circ": ([], [r"\arctan 1"]),
    r"\begin{pmatrix}5\end{pmatrix}": ([], ["5"]),
    r"\begin{pmatrix}1&0\\0&1\end{pmatrix}": ([], ["1", "I"]),
    r"\begin{pmatrix}2&0\\0&2\end{pmatrix}": (
        [
            r"2\begin{pmatrix}1&0\\0&1\end{pmatrix}", r"\begin{pmatrix}2&0\\0&2\\ \end{pmatrix}",
            r"\begin{bmatrix} 2 & 0 \\ 0 & 2 \end{bmatrix}", r"\{\begin{pmatrix}2&0\\0&2\end{pmatrix}\}"
        ],
        [r"\begin{pmatrix}2&0&0&2\end{pmatrix}", r"\begin{pmatrix}2&0\\0&-2\end{pmatrix}"],
    ),
    r"\begin{pmatrix}-1\\2\end{pmatrix}": (
        [r"\begin{pmatrix}-1\\[4pt]2\end{pmatrix}"],
        [r"\begin{pmatrix}1\\-2\end{pmatrix}"],
    ),
    r"\begin{pmatrix} 1/2 \\ 3 \end{pmatrix}": ([r"\begin{pmatrix} 0.5 \\ 3 \end{pmatrix}"], []),
    r"\binom n2": ([r"\frac{n(n-1)}{2}"], [r"\frac{n(n+1)}{2}"]),
    r"\binom{n}{k}": ([r"\binom{n}{n-k}", r"\frac{n!}{k!(n-k)!}"], [r"\binom{k}{n}", r"\frac{n}{k}"]),
    "1.5": ([r"3\cdot\frac12"], [r"3\frac12", "3 1/2"]),
    "12345": (
        [r"12\,345", "12 345", "12,345", r"1.2345\times10^4", "12345.", "012345"],
        ["12.345", "1,2345", "12 34 5", "54321"],
    ),
    "2+3i,2-3i": ([r"2\pm3i"], ["2+3i", r"-2\pm3i", r"\pm(2+3i)"]),
    r"2\pm3i": (["2-3i,2+3i"], []),
    "1,1": ([], ["1"]),
    "1,2,": (["1,2"], []),
    "1,2,3": (["1, 2, and 3", "3,1,2", "x=1,2,3"], ["1,2,4", "1-3", r"1,\ldots,3", "123", "1,23"]),
    "-1,1": (["1,-1"], ["1,1", "-1,-1"]),
    "[-1,1]": (
        ["[−1, 1]", "-1≤x≤1", r"1\ge x\ge-1", r"-1\le y\le1"],
        ["|x|≤1", "(-1,1)", "[1,-1]", "-1,1", r"\pm1", "-1 < x ≤ 1"],
    ),
    "(0,1)": (["0<x<1", "0,1", "(0;1)"], ["]0,1[", "(1,0)", "0.1"]),
    r"[0,\infty)": (
        [r"x\ge0", r"[0,+\infty)", r"0\le x<\infty", "x≥0"],
        ["x>0", r"\mathbb{R}_{\ge0}", r"[0,\infty]", r"\text{nonnegative}"],
    ),
    "y=3": (["3", "y=3.0", "3=y", "y-3=0"], ["x=3", r"y\ge3"]),
    "y=3x": (["3x", "y/x=3"], ["x=3y", "y=3X"]),
    "a=1,b=2": (["1,2", "b=2,a=1"], ["a=2,b=1", "2,1", "a=1", "a=1,b=2,c=3", "a=b=1"]),
    "0.05": ([r"5\%", r"\frac{1}{20}"], [r"0.5\%"]),
    r"5\%": (
        ["5", "0.05", r"\frac{5}{100}", "1/20"],
        [r"500\%", "0.5", r"5\% or 6\%", r"about 5\%", r"-5\%", "five percent"],
    ),
}  # fmt: skip
