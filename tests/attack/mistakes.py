r"""More answers beside their reference: ends of intervals, off by one, rounding, per cent, units, spacing."""

# reference: answers that are right, and answers that are not
MISTAKES: dict[str, tuple[list[str], list[str]]] = {
    "100": (
        [],
        [
            "0,100", "00,100", "0 100", "0,000,100", "000,100", "{0,100}", "1,00", "10,0", r"1\,00",
            "-0,100"
        ],
    ),
    r"5\text{ cm}": (
        [],
        [
            r"5\%", r"500\%", r"5^\circ", r"5\text{ radians}", "$5", "5 am", r"5\text{ cm/s}",
            r"5\text{ per cm}", r"5\text{ cm or }6\text{ cm}", r"5\text{ cm}, 6"
        ],
    ),
    r"\$5": (
        [],
        [r"5\%", r"500\%", r"5\text{ cm}"],
    ),
    r"90^\circ": (
        [],
        [r"90\%", r"9000\%", r"90\text{ rad}", r"90\text{ cm}"],
    ),
    r"\$251.60": (
        ["251.6", r"\$251.600", "251.60"],
        ["251.61", "251.59", "251.64", r"\$251.61", "251.7"],
    ),
    "24.310": (
        ["24.31", "24.3104"],
        ["24.311", "24.309", "24.314"],
    ),
    "1234.50": (
        ["1234.5"],
        ["1234.52", "1234.51", "1234.49"],
    ),
    "0.3750": (
        ["0.375", "3/8"],
        ["0.3751", "0.3749"],
    ),
    "0<x<1": (
        [r"x>0 \text{ and } x<1", "x>0, x<1"],
        ["x>0, y<1", r"x>0 \text{ and } y<1", "0<x, t<1", "y>0, y<1"],
    ),
    r"k\ge2": (
        [],
        [r"k\ge2, x>0", r"x\ge2", r"k\ge2 \text{ and } n>0"],
    ),
    r"x<1 \text{ or } x>6": (
        [r"(-\infty,1)\cup(6,\infty)"],
        ["x<1 or y>6", "y<1 or y>6"],
    ),
    r"(-\infty,1)\cup(6,\infty)": (
        ["y<1 or y>6"],
        ["x<1 or y>6"],
    ),
    r"\frac{4}{7}": (
        [],
        [r"\frac23\frac12"],
    ),
    r"\frac13": (
        [r"\frac23\frac12", r"\frac23\cdot\frac12", r"\frac{2}{3}\frac{1}{2}"],
        [],
    ),
    r"\frac{2}{3}\frac{C}{S}": (
        [r"\frac23 \frac{C}{S}", r"\frac{2C}{3S}"],
        [],
    ),
    "4": (
        [r"2^3\frac12", r"2^{3}\cdot\frac12"],
        [r"2^{3\frac12}"],
    ),
    "2^{3.5}": (
        [],
        [r"2^3\frac12"],
    ),
    "-1": (
        [
            r"\log_2\frac12", r"\log_{2}\frac12", r"\log_2(1/2)", r"\cos\pi", r"e^{i\pi}", "i^2", "-1.0",
            r"\sin\frac{3\pi}{2}", "-1^2", r"-\sin 90^\circ"
        ],
        [r"\log_2\frac{1}{4}", "(-1)^2", "1", "i", r"-1^{\circ}C\text{ or }1"],
    ),
    r"\frac{5}{19} < \frac{1}{3} < \frac{9}{23}": (
        [
            "5/19 < 1/3 < 9/23", r"\frac{9}{23}>\frac13>\frac{5}{19}",
            r"\frac {5}{19} < \frac 13 < \frac {9}{23}", r"\frac{5}{19} < \frac{7}{21} < \frac{9}{23}"
        ],
        [r"\frac{1}{3} < \frac{5}{19} < \frac{9}{23}", r"\frac13<\frac{9}{23}", "0<1", "1<2<3"],
    ),
    "a<b<c": (
        ["c>b>a"],
        ["a<c<b", "b<a<c", "a>b>c", r"a\le b\le c"],
    ),
    "A<B": (
        ["B>A"],
        ["A>B", "B<A"],
    ),
    r"\frac{1}{2}(e^{at} + e^{-at})": (
        [
            r"\frac{1}{2}(e^{at}+e^{-at})", r"\frac{1}{2} ( e^{ at } + e^{ -at } )",
            r"\frac{e^{a t}+e^{-a t}}{2}", r"\cosh(at)", r"\frac12 e^{at}+\frac12 e^{-at}"
        ],
        [r"\sinh(at)"],
    ),
    r"\frac{1}{4}": (
        [r"25\%", "0.25", "25 percent", "1/4"],
        [r"0.25\%", "25", "4", "1:4:1", r"\frac{1}{4}\text{ cm or so}"],
    ),
    r"12\%": (
        ["12", "0.12", "12 percent", r"\frac{12}{100}", r"\frac{3}{25}"],
        [
            "1.2", "0.012", r"120\%", r"12\text{ cm}", "$12", r"12^\circ", r"88\%", "12 pm", r"-12\%",
            r"12\% \text{ decrease}"
        ],
    ),
    r"33\frac13\%": (
        [r"\frac13", r"33.3333\%", r"33.33\%", r"\frac{100}{3}\%", "0.3333"],
        [r"33\%", "0.33", r"33.3\%"],
    ),
    r"\frac{\pi}{6}": (
        [
            r"\pi/6", r"\frac{1}{6}\pi", "0.5236", r"\frac{\pi}{6}\text{ radians}",
            r"\frac{\pi}{6}\text{ rad}"
        ],
        [
            "30", r"\frac{\pi}{3}", r"\frac{6}{\pi}", "0.52", r"-\frac{\pi}{6}", r"\frac{\pi}{6}+2\pi",
            r"\frac{180}{6}", r"\frac{7\pi}{6}"
        ],
    ),
    r"30^\circ": (
        ["30", r"30\text{ degrees}", "30 deg"],
        [
            r"\frac{\pi}{6}", r"30\text{ rad}", "30'", r"30\text{ minutes}", r"30^\circ C", r"150^\circ",
            r"-30^\circ", r"30^{\circ}, 150^\circ"
        ],
    ),
    r"30^\circ, 150^\circ": (
        [
            r"150^\circ,30^\circ", "30,150", r"30^\circ \text{ and } 150^\circ",
            r"30^\circ \text{ or } 150^\circ"
        ],
        [r"30^\circ", r"150^\circ"],
    ),
    r"\sin 30^\circ": (
        ["0.5", r"\frac12"],
        [r"\sin 30", r"\sin\frac{\pi}{3}"],
    ),
    "(2,7]": (
        [r"2<x\le7"],
        ["(2,7],(8,9)"],
    ),
    r"(-\infty,2)\cup(2,\infty)": (
        [
            r"x\ne2", r"\mathbb{R}\setminus\{2\}", "x<2 or x>2", r"x<2\text{ or }x>2",
            r"(2,\infty)\cup(-\infty,2)"
        ],
        [
            r"(-\infty,\infty)", r"\mathbb{R}", "x=2", r"(-\infty,2]\cup(2,\infty)", r"(-\infty,2)",
            r"x\ne -2"
        ],
    ),
    "[-2,2]": (
        [r"-2\le x\le 2"],
        ["|x|<2", "(-2,2)", "[2,-2]", "[-2,2)", r"\pm2", "x^2=4"],
    ),
    "1,2,3,4": (
        [
            "4,3,2,1", "1, 2, 3, 4", r"\{1,2,3,4\}", r"1,2,3,\text{ and }4", "n=1,2,3,4", "1;2;3;4"
        ],
        [
            "1,2,3", "1,2,3,4,5", "0,1,2,3,4", "2,3,4,5", "1234", "[1,4]", "1-4", "1..4", "1,2,...,4",
            "1,2,3,3", "1,2,3,4,4", "(1,2,3,4),5", r"n\le4"
        ],
    ),
    r"\{0,1\}": (
        ["0,1", r"\{1,0\}", "x=0,1", r"x=0 \text{ or } x=1", r"\{0\}\cup\{1\}"],
        ["(0,1)", "[0,1]", r"\{0\}", r"\{1\}", "01", r"\{0,1,2\}", r"\{-1,0,1\}", "0<x<1"],
    ),
    "-3,3": (
        [r"\pm3", "3,-3", r"x=\pm3", "x = 3 or x = -3", r"\{-3,3\}"],
        ["3", "-3", "3,3", "|3|", r"\pm 9", r"(-3,3)\cup\{0\}", "[-3,3]"],
    ),
    r"\pm\sqrt{5}": (
        [r"\sqrt5,-\sqrt5", r"-\sqrt{5},\sqrt{5}", r"\pm 5^{1/2}", r"\{\pm\sqrt5\}"],
        [r"\sqrt5", r"-\sqrt5", r"\pm5", r"\sqrt{\pm5}", r"\pm\sqrt{5}i"],
    ),
    "0": (
        [
            "-0", "+0", "0.00", r"0^\circ", r"0\%", r"\$0", "0 cm", r"\frac{0}{5}", "0i", "-0.0",
            r"0\pi", "x-x", r"\sin\pi", r"\sin 180^\circ", r"\ln 1", r"\{0\}"
        ],
        [
            "O", "o", r"\emptyset", r"\infty", "none", "no", "0.0001", "10^{-100}", r"\frac{1}{10^{50}}",
            "0^0", r"\frac00", r"\varnothing", "()", r"\{\}", "0,0", "zero", r"\lim 0", "e^{-1000}",
            r"\sin 3.14159", r"\pm0.1"
        ],
    ),
    r"-\frac{1}{2}": (
        [r"\frac{-1}{2}", r"\frac{1}{-2}", "-0.5", "-1/2", "−½", r"-\frac12", r"-50\%"],
        [
            r"\frac{1}{2}", r"\frac{-1}{-2}", "0.5", r"--\frac12", "-2", r"-\frac{1}{2}, \frac12",
            r"\pm\frac12", r"|-\frac12|", "-0.5^2"
        ],
    ),
    "3.14159": (
        [],
        ["3.14", "3.1", "3", "22/7"],
    ),
    "2.718": (
        [],
        ["2.7", "2.72", "3", "e^{1.01}", "2.7"],
    ),
    "0.6667": (
        [r"\frac23", "0.66667", "2/3"],
        ["0.67", "0.66", "0.7", r"\frac{667}{1000}"],
    ),
    "16.7": (
        ["16.70"],
        ["16.67", "17", "16.6", r"\frac{50}{3}", "16.66"],
    ),
    "17": (
        [
            "17.", "x=17", r"17 \text{ students}", r"\text{17}", "(17)", r"\mathbf{17}", "$17",
            "17 ways"
        ],
        [
            "approximately 17", r"\text{about }17", "17?", "17 or so", "17!", "at least 17",
            r"\text{not }17", "17th", "17, 18", "16 < x < 18", "seventeen", "1 7", r"17\text{ or more}",
            "between 16 and 18", r"\text{Answer: }17", "the answer is 17", r"17 \ne 18", r"17\to 18",
            "prime", "<18", "17~18"
        ],
    ),
    "1.73": (
        [],
        [r"\sqrt3", "1.732", "1.7"],
    ),
    "2.236": (
        [r"\sqrt5"],
        ["2.24", "2.23", "2.2"],
    ),
    "299792458": (
        ["299,792,458", r"2.99792458\times10^8"],
        [r"3\times10^8", "299792", "2.998e8"],
    ),
    r"6.02\times10^{23}": (
        ["6.02e23", "6.02*10^23", r"602\times10^{21}", "6.02 x 10^{23}"],
        [
            r"6.02\times10^{-23}", r"6.02\times10^{22}", r"6.022\times10^{23}", "6.02", "10^{23}",
            r"6.02\times 23", "6.02^{23}"
        ],
    ),
    r"2\pi": (
        ["6.2832", "6.28319", r"\pi+\pi", "2*pi", "2π", r"\pi\cdot2"],
        ["6.28", "2", r"\pi", "360", r"2\pi r", "6", r"\pi^2", r"2^\pi", r"360^\circ", "6.3"],
    ),
    r"\sqrt{2}": (
        [
            "1.41421", r"\frac{2}{\sqrt2}", r"\sqrt{8}/2", "2^{0.5}", r"\sqrt 2", "√2", r"\sqrt[2]{2}",
            r"\frac{\sqrt{4}}{\sqrt{2}}"
        ],
        [
            "1.4", "1.41", "2", r"\sqrt{3}", r"\sqrt[3]{2}", r"-\sqrt2", r"\pm\sqrt2", r"2\sqrt{}",
            r"\sqrt{2}i", r"\sqrt{-2}"
        ],
    ),
    r"\ln 2": (
        [
            "0.6931", r"\log_e 2", r"-\ln\frac12", r"\frac{\ln 4}{2}", r"\ln(2)", r"\frac{1}{\log_2 e}"
        ],
        [r"\log 2", "0.3010", "0.69", "2", r"\ln 2x", r"\ln^2 2", r"\log_2 e"],
    ),
    "e": (
        ["2.71828", "e^1", r"\exp(1)"],
        ["2.718281829", "2.7", "E", r"\epsilon", "e^{-1}", "3"],
    ),
    r"\frac{\sqrt{3}}{2}": (
        [
            r"\sin 60^\circ", r"\cos\frac{\pi}{6}", r"\frac{3}{2\sqrt3}", r"\sqrt{\frac34}",
            r"\sqrt{3}/2", r"\sqrt{0.75}", r"\frac12\sqrt3"
        ],
        [
            r"\sqrt{3/2}", r"\frac{\sqrt{3}}{4}", r"\frac{3}{2}", "0.87", r"\frac{\sqrt2}{3}",
            r"\sin 60", r"\frac{2}{\sqrt3}"
        ],
    ),
    r"3+2\sqrt{2}": (
        [r"(1+\sqrt2)^2", r"2\sqrt2+3", r"3+\sqrt8", "5.8284", r"\frac{1}{3-2\sqrt2}"],
        [r"3-2\sqrt2", r"3+2\sqrt3", r"5\sqrt2", r"3\pm2\sqrt2", r"3+\sqrt2", r"32\sqrt2"],
    ),
    "x^2-4": (
        ["(x-2)(x+2)", "x^2 - 2^2", "-4+x^2", "(x+2)(x-2)", "-(4-x^2)"],
        [
            "(x-2)^2", "x^2+4", "4-x^2", "x^2-4=0", r"x=\pm2", "x^2-4x", r"\frac{x^2-4}{1}+10^{-20}"
        ],
    ),
    r"\frac{x+1}{x-1}": (
        [r"1+\frac{2}{x-1}", r"\frac{-x-1}{1-x}", "(x+1)/(x-1)", r"\frac{1+x}{x-1}"],
        ["x+1/x-1", r"\frac{x-1}{x+1}", r"-\frac{x+1}{x-1}", r"\frac{x+1}{1-x}", "-1"],
    ),
    r"\frac{1}{x+1}": (
        ["(x+1)^{-1}", "1/(x+1)", "(1+x)^{-1}"],
        ["1/x+1", r"\frac1x+1", "x+1", r"\frac{1}{x}+\frac11"],
    ),
    r"20\text{ m/s}": (
        [
            "20 m/s", "72 km/h", "20 m s^{-1}", r"20\text{ meters per second}",
            r"20\,\mathrm{m}\,\mathrm{s}^{-1}", r"20\,\frac{\text{m}}{\text{s}}"
        ],
        [
            "20 km/h", "20 m", "72 m/s", "20 s/m", "20 mph", "20 m/s^2",
            r"20\,\frac{\text{s}}{\text{m}}"
        ],
    ),
    r"2\text{ hours}": (
        [r"120\text{ min}", "2 h", "2 hrs", "7200 s", r"2\text{ hr}"],
        ["2 min", "2 days", "120", "2:00", "20 minutes"],
    ),
    r"100\text{ cm}^2": (
        [
            "100", r"0.01\text{ m}^2", r"100\text{ square centimeters}", r"100 \text{ sq cm}",
            r"100\;\text{cm}^{2}"
        ],
        ["100 cm", "100 cm^3", "1 m^2", r"100\text{ m}^2", r"10\text{ cm}"],
    ),
    r"5\text{ kg}": (
        ["5000 g", "5", "5 kilograms"],
        ["5 g", "5 lb", "5 km", "5000", r"5\text{ kg m}", "5 N"],
    ),
    r"\$12.50": (
        ["12.5", "12.50", r"\$12.5", "1250 cents", "12.50 dollars"],
        ["1250", r"\$1250", r"\$12.05", r"\$12", r"\$13", r"12\frac{5}{10}\%", "€12.50"],
    ),
    r"45\text{ mph}": (
        ["45 miles per hour", "45"],
        ["45 km/h", "45 miles", "45 hours", "45 m/s"],
    ),
    r"8\text{ ft}": (
        ["96 inches", "8 feet"],
        ["8 in", "8 yards", "96", "8 ft^2", "8 m"],
    ),
    r"10^\circ\text{C}": (
        ["10", "10°C", "10 degrees Celsius"],
        [r"50^\circ F", "10 K", r"10^\circ F", "283 K"],
    ),
    "1+i": (
        [
            "i+1", r"\sqrt2 e^{i\pi/4}", r"\sqrt{2}(\cos 45^\circ + i\sin 45^\circ)", "1+1i",
            r"\frac{2}{1-i}"
        ],
        ["1-i", "1+j", "-1+i", "1+i, 1-i", r"1\pm i", r"\sqrt2", "(1,1)", "2", "i"],
    ),
    "-i": (
        [r"\frac1i", "i^3", "-1i", "0-i", r"e^{-i\pi/2}", r"e^{3\pi i/2}"],
        ["i", "-1", "1", r"-\sqrt{1}", r"\pm i", "i^{-3}"],
    ),
    "(3,-4)": (
        [
            "(3, -4)", "x=3, y=-4", "(3;-4)", r"\left(3,-4\right)", "(x,y)=(3,-4)", r"(\frac62,-4)"
        ],
        [
            "(-4,3)", "(3,4)", "(-3,-4)", "[3,-4]", "3", "-4", "(3,-4,0)", r"\{3,-4\}", "3-4", "(3-4)",
            "y=3,x=-4", "(3,-4),(0,0)", "5", "3-4i", "(-3,4)", r"\sqrt{3^2+4^2}"
        ],
    ),
    r"\left(\frac12,\frac13\right)": (
        ["(1/2,1/3)", r"(0.5,\frac{1}{3})", "(.5,0.3333)"],
        [r"(\frac13,\frac12)", "(2,3)", r"\frac12\cdot\frac13", r"\frac16", "(0.5,0.33)"],
    ),
    "y=2x+3": (
        ["2x+3", "y-2x=3", "y = 3 + 2x", "2x-y+3=0", "y-3=2x", "y=2x+3.0"],
        [
            "y=2x-3", "x=2y+3", "y=3x+2", "y=2x", "y>2x+3", "2x+3=0", "y=-2x+3", "y=2x+3, x=1", "2x+y=3",
            "y=2x+3=0", "f(y)=2x+3", "2y=2x+3"
        ],
    ),
    "x^2+y^2=25": (
        ["y^2+x^2=25", "x^2+y^2-25=0", "2x^2+2y^2=50", "25=x^2+y^2", "x^{2}+y^{2}=5^2"],
        [
            "x^2+y^2=5", "x+y=5", "x^2-y^2=25", "(x+y)^2=25", "x^2+y^2>25", "25", "5",
            r"y=\sqrt{25-x^2}", "x^2+y^2=25z", r"y=\pm\sqrt{25-x^2}"
        ],
    ),
    "3x-2y=6": (
        ["6x-4y=12", "-3x+2y=-6", r"y=\frac32x-3", "3x-2y-6=0", r"\frac{x}{2}-\frac{y}{3}=1"],
        ["3x+2y=6", "2x-3y=6", "3x-2y=-6", "6", r"y=\frac32x+3"],
    ),
    r"\text{Tuesday}": (
        ["Tuesday", "tuesday", "Tuesday.", r"\textbf{Tuesday}", r"\mathrm{Tuesday}"],
        [
            "Tue", "Wednesday", "Tuesday or Wednesday", "Not Tuesday", "Tuesdays", "Monday", "2",
            "Tuesday, Wednesday"
        ],
    ),
    r"\text{False}": (
        ["false", "False."],
        ["true", "F", "0", "not true", "False and True"],
    ),
    r"\text{(B)}": (
        ["B", "(B)", r"\text{B}", "B."],
        ["b", "A", "(A)", "B, C", "B or C", "(B) 5", "8", r"\text{(D)}", r"\beta"],
    ),
    "720": (
        ["6!", r"6\cdot5!", r"10\cdot9\cdot8", r"\frac{6!}{0!}"],
        ["6", "7!", "_{10}P_3", "6!!", "3!!"],
    ),
    r"\binom{8}{3}": (
        ["56", r"\frac{8!}{5!3!}", r"\binom85"],
        ["336", "24", r"\frac83", "8C3", r"\binom{3}{8}"],
    ),
    "2^{10}": (
        ["1024", "4^5", "32^2", r"2^{10}\cdot1"],
        ["20", "2^{11}", "10^2", "1000", "1023", "2^{-10}", r"2\cdot10"],
    ),
    "2017^{2016}": (
        [],
        ["2016^{2017}", "2017^{2015}", "2017", "2017^{2016}+1"],
    ),
    "1101_2": (
        ["1101", "1101_{2}", "(1101)_2"],
        ["13", "1101_{10}", "1101_3", "15_8", "D_{16}", "1011_2"],
    ),
    "2:5": (
        ["4:10", "2/5", "0.4", r"\frac25"],
        ["5:2", "2,5", "2:7", "(2,5)", "2.5", "2:5:1", "40"],
    ),
    r"\frac{2}{5}": (
        ["2:5", "0.4", r"40\%"],
        ["5:2", "2.5", r"\frac52", "4", "2,5", "0.04"],
    ),
    r"4\pmod{9}": (
        ["4", r"x\equiv4\pmod9"],
        ["13", r"4\pmod 8", r"5\pmod9", r"-4\pmod 9"],
    ),
    r"\begin{pmatrix}3\\-1\end{pmatrix}": (
        [r"\begin{bmatrix}3\\-1\end{bmatrix}"],
        [
            r"\begin{pmatrix}-1\\3\end{pmatrix}", r"\begin{pmatrix}3&-1\end{pmatrix}",
            r"\begin{pmatrix}3\\1\end{pmatrix}", "(3,-1)", "3", r"\begin{pmatrix}3\\-1\\0\end{pmatrix}",
            r"\begin{pmatrix}3\end{pmatrix}"
        ],
    ),
    r"\langle 1,-2,2\rangle": (
        ["(1,-2,2)", r"\langle1,-2,2\rangle"],
        ["(1,2,2)", "3", r"\langle -1,2,-2\rangle", r"\langle 1,-2\rangle", "1-2+2"],
    ),
    r"\infty": (
        [r"+\infty", r"\infty.", "infinity"],
        [
            r"-\infty", r"\pm\infty", "0", "10^{100}", "undefined", "DNE", r"\infty-\infty", r"\frac10",
            "8", "oo"
        ],
    ),
    r"\text{DNE}": (
        ["DNE", r"\mathrm{DNE}"],
        ["0", r"\infty", "exists"],
    ),
    "1000": (
        ["1,000", "1{,}000", r"1\,000", "10^3", "1000.0", "1 000", "1e3"],
        ["1.000", "1,00", "10^4", "1,0000", "100", "1000000", r"1\cdot000"],
    ),
    "1.5": (
        ["3/2", r"1\frac12", "1.50", r"\frac{3}{2}", r"150\%", "1 1/2"],
        ["1,5", "15", r"1\cdot5", "1.05", "1:5", "1/5", r"1\frac{1}{5}", "1.5x"],
    ),
    r"7\frac{3}{4}": (
        [r"\frac{31}{4}", "7.75", "7 3/4", r"7+\frac34", r"\frac{62}{8}"],
        [
            r"\frac{21}{4}", r"7\cdot\frac34", r"\frac{73}{4}", r"7,\frac34", r"7-\frac34", r"7\frac43",
            r"\frac{3}{4}7", "7.34"
        ],
    ),
    r"a+b\sqrt{c}": (
        [r"b\sqrt{c}+a"],
        [r"a+\sqrt{bc}", r"ab\sqrt c", r"a-b\sqrt c", r"A+B\sqrt{C}", r"a+b\sqrt{d}"],
    ),
    "n^2": (
        [r"n\cdot n", "n^{2}", "n*n"],
        ["n2", "2n", "n_2", "N^2", "m^2", "n^3", "n^{-2}", "n", "(n+1)^2-2n-1+1"],
    ),
    "2n+1": (
        ["1+2n", "n+n+1", "2(n+1)-1"],
        ["2n-1", "2n", "n+2", "2(n+1)", "2^n+1", "2m+1", "n^2+1", "21n"],
    ),
    r"\frac{n}{2^n}": (
        ["n/2^n", r"n\cdot 2^{-n}"],
        [
            r"\frac{2^n}{n}", r"\frac{n}{2n}", r"\frac{n}{n^2}", r"\frac{1}{2}", "n/2^{n+1}", "(n/2)^n"
        ],
    ),
    r"\frac{a}{b}": (
        ["a/b", "ab^{-1}", r"\frac{2a}{2b}"],
        [
            "x", "y", "a", "b", r"\frac{b}{a}", r"\frac{x}{y}", "1", r"\frac{A}{B}",
            r"\frac{a}{b}+\epsilon", "f(a,b)", r"a\div", r"\frac{a}{b}\ge0"
        ],
    ),
    "x=3, y=-2": (
        ["y=-2, x=3", "(3,-2)", "(x,y)=(3,-2)", r"x=3\text{ and }y=-2", r"\{x=3,y=-2\}"],
        [
            "x=-2,y=3", "(-2,3)", "3", "x=3", "x=3,y=2", "x+y=1", "x=3,x=-2", "x=3 or y=-2, z=0",
            "(3,2)"
        ],
    ),
    "x = 2 or x = 5": (
        ["2,5", "x=5,2", r"\{2,5\}", "x=5 or x=2"],
        [
            "2", "5", "x=2", "7", r"(2,5)\cup(5,6)", "[2,5]", "x=2, y=5", "2 < x < 5", "x=2,5,7",
            "(x-2)(x-5)"
        ],
    ),
    "a=2": (
        ["2"],
        ["b=2", "a=3", "a>2", "a=2b", "a=2,b=3", "2a", "a^2=4", "a"],
    ),
    "f(x)=2x": (
        ["2x", "f(x) = x+x"],
        [
            "f(x)=x", "g(x)=x^2", "f(2x)", "f(x)=2", "f(x)=2x+1", "f(x)=2f(x)", "f(x)=-2x", "f(x)=f(x)",
            "2", "f(x)=2y"
        ],
    ),
    "f(x)=x, f(x)=-x": (
        [r"f(x)=\pm x", "f(x)=-x, f(x)=x", "x,-x", r"f(x)=x\text{ or }f(x)=-x"],
        ["f(x)=x", "x", "-x", "f(x)=|x|", "0", "f(x)=x,f(x)=x"],
    ),
    r"\text{Yes}": (
        ["yes"],
        [
            "yes, no", "Yes.No", "no", "true", "1", "y", "ye", "yess", "Yes or No", "maybe",
            "yes if n>2"
        ],
    ),
    r"\text{None}": (
        ["none", "None."],
        ["0", "no one", "nothing", r"\emptyset", "nan", "null"],
    ),
    r"\text{all }n\ge 3": (
        [r"\text{all }n\ge3"],
        [r"n\ge 3, n=2", "n>3", "all n", "3", r"\text{all }n\ge 4", r"\text{no }n\ge3"],
    ),
    r"\text{odd } n": (
        [r"\text{odd n}"],
        [r"\text{even } n", "n", r"\text{not odd }n"],
    ),
    r"\angle A=30^\circ": (
        [r"30^\circ", "30", r"\angle A = 30"],
        [r"\angle B=30^\circ", r"\angle A=60^\circ", "A", r"\angle A"],
    ),
    "AB=5": (
        ["5", "AB = 5.0"],
        ["BC=5", "AB", "AB=-5", "AB=5, BC=6", "AB>5"],
    ),
    r"\overline{AB}": (
        [r"\overline{AB}"],
        [r"\overline{BC}", "AB=1", "0"],
    ),
    "P(A)=0.3": (
        ["0.3", r"P(A)=30\%", "P(A)=3/10"],
        ["P(B)=0.3", "P(A)=0.7", "0.03", "3"],
    ),
    r"3.0\times10^8\text{ m/s}": (
        [
            "3e8", r"3\times10^8", "300000 km/s", r"3.0\times 10^{8}\,\mathrm{m/s}",
            r"3\cdot10^{5}\text{ km/s}"
        ],
        [
            r"3\times10^5", r"3\times10^8\text{ km/s}", r"3\times10^{10}", r"3\times10^{-8}",
            r"3\times10^8\text{ m}"
        ],
    ),
    "1.38e-23": (
        [r"1.38\times10^{-23}", "1.38*10^-23", r"1.38 \cdot 10^{-23}", "1.38E-23"],
        [
            "1.38", "0", "0.0", "1.4e-23", "1.38e23", "1.38e-22", r"1.38\times10^{-23}\text{ million}",
            "13.8e-23"
        ],
    ),
    "0.0000672": (
        ["6.72e-5", r"6.72\times10^{-5}"],
        ["0", "0.0001", "6.72", "6.7e-5", "0.000067", "0.00000672", r"6.72\times10^{5}"],
    ),
    "-273.15": (
        [r"-273.15^\circ\text{C}", "-273.150"],
        ["273.15", "-273", "-273.2", "-273.16", "-273.14"],
    ),
    "98.6": (
        ["98.60"],
        ["98.59", "98.61", "98.6001", "98", "99"],
    ),
    "12.3456": (
        ["12.34560"],
        ["12.3457", "12.35", "12.3"],
    ),
    "$3.50": (
        ["3.5", "350 cents", r"\$3.50", "3.50 dollars"],
        ["3.05", "350", r"\$3.51", r"\$35", "$3.5 million"],
    ),
    r"\$18,000": (
        ["18000", "18,000", r"\$18{,}000", r"\$18000.00", "18 thousand dollars"],
        ["18", "1800", r"\$18.000", r"\$180,00", "18 million"],
    ),
    r"\$1,000,000": (
        ["1 million", "10^6", "1000000"],
        ["1,000", "1 billion"],
    ),
    r"\approx 8.24": (
        ["8.24"],
        ["8.2", "8.25", "8.23", "8"],
    ),
    "3.0": (
        ["3", "3.00"],
        ["3.01", "2.99", "2.999", "3.0001"],
    ),
    "33": (
        [],
        ["33.3", "33.33", r"33\frac13", "32.9999"],
    ),
    "0.1": (
        [r"\frac{1}{10}", r"10\%", "10^{-1}", ".1"],
        ["0.01", "0.10001", "1", "0.09999", r"0.1\%", "0.11"],
    ),
    "0.5": (
        [r"50\%"],
        [r"0.5\%", r"5\%", r"500\%"],
    ),
    "0.01": (
        [r"1\%"],
        [r"0.01\%", r"10\%"],
    ),
    r"\frac{3}{8}": (
        [r"37.5\%"],
        [r"0.375\%", r"\frac38\%"],
    ),
    "1": (
        [r"100\%"],
        [r"10000\%", r"0.01\%"],
    ),
    "7": (
        [r"7\%"],
        ["0.07", r"7000\%"],
    ),
    r"\frac{13}{24}": (
        [
            r"\frac { 13 } { 24 }", r"\frac{ 13}{24 }", r"\dfrac{13}{24}", r"\tfrac {13}{24}",
            r"\cfrac{13}{24}", "{13}/{24}", r"\frac{13}{24}\;", r"\;\frac{13}{24}",
            r"\left.\frac{13}{24}\right."
        ],
        [
            r"\frac1324", r"\frac{1}{3}{24}", r"\frac{1324}{}", r"\frac{24}{13}", r"13\frac{}{24}"
        ],
    ),
    r"5\sqrt{7}": (
        [
            r"5 \sqrt 7", r"5\sqrt7", r"5\cdot\sqrt{ 7 }", r"5\,\sqrt{7}", r"\sqrt{175}",
            r"5 \times \sqrt{7}", r"5{\sqrt{7}}", r"{5}\sqrt{7}"
        ],
        [
            r"\sqrt[5]{7}", r"5\sqrt{7}\sqrt{7}", "57", r"5+\sqrt7", r"\sqrt{5}7", r"\sqrt{57}",
            r"7\sqrt5", r"5^{\sqrt{7}}"
        ],
    ),
    "x^{10}": (
        ["x ^ { 10 }", r"x^{10}\,", "(x^5)^2", "x^5x^5", r"x^{5}\cdot x^{5}"],
        ["x^10 y", "x^1 0", "x^{1}0", "10x", "x_{10}", "x^{-10}", "x^{100}"],
    ),
    r"\log_{3}(x)": (
        [r"\log_3 x", r"\log_3{x}", r"\frac{\ln x}{\ln 3}", r"\log _3 (x)"],
        [r"\log 3x", r"\ln_3 x", r"\log_x 3", r"\log(x)/3", r"\log_3(3x)", r"\log^3 x"],
    ),
    r"\sin^2\theta": (
        [
            r"(\sin\theta)^2", r"\sin ^ 2 \theta", r"\sin^{2}(\theta)", r"\sin\theta\sin\theta",
            r"1-\cos^2\theta", r"\sin^2 θ"
        ],
        [
            r"\sin\theta^2", r"\sin 2\theta", r"\sin^{-2}\theta", r"\cos^2\theta", r"\sin^2\phi",
            r"2\sin\theta", r"\sin^2 x"
        ],
    ),
    r"\left\lfloor\frac{n}{2}\right\rfloor": (
        [
            r"\lfloor n/2\rfloor", r"\lfloor \frac n2 \rfloor",
            r"\left\lfloor \dfrac{n}{2}\right\rfloor"
        ],
        [
            r"\frac n2", r"\lceil n/2\rceil", r"\lfloor n\rfloor/2", r"\lfloor\frac{n+1}{2}\rfloor",
            r"\frac{n-1}{2}"
        ],
    ),
    r"1, \frac12, \frac13": (
        ["1,1/2,1/3", r"1, 0.5, \frac{1}{3}", r"\frac13,\frac12,1"],
        ["1,2,3", r"1,\frac12", r"1,\frac12,\frac14", r"1, \frac12, \frac13, \ldots"],
    ),
    "2,2,3": (
        ["2,3,2", "3,2,2"],
        ["2,3", "2,3,3", "2,2,3,3", "12", r"2\cdot2\cdot3"],
    ),
    "x^3-6x^2+11x-6": (
        ["(x-1)(x-2)(x-3)", "x^3 - 6x^2 + 11x - 6", "-6+11x-6x^2+x^3"],
        [
            "x^3-6x^2+11x", "x^3+6x^2+11x+6", "(x-1)(x-2)(x-4)", "x=1,2,3", "1,2,3", "x^3-6x^2+11x-6=0",
            "x^3-6x^2-11x-6"
        ],
    ),
    "(x+1)(x+2)": (
        ["x^2+3x+2", "(2+x)(1+x)"],
        [
            "(x-1)(x-2)", "x^2+2x+3", "(x+1)(x-2)", "-1,-2", "(x+1),(x+2)", "(x+1)+(x+2)", "x+1,x+2"
        ],
    ),
    r"\frac{\pi}{4}+k\pi": (
        [r"k\pi+\frac{\pi}{4}", r"\frac{\pi+4k\pi}{4}", r"\frac{(4k+1)\pi}{4}"],
        [
            r"\frac{\pi}{4}", r"\frac{\pi}{4}+2k\pi", r"-\frac{\pi}{4}+k\pi", r"45^\circ",
            r"\frac{5\pi}{4}"
        ],
    ),
    r"\frac{x^3}{3}+C": (
        [r"\frac13x^3+C", r"C+\frac{x^3}{3}", "x^3/3+C"],
        [
            r"\frac{x^3}{3}", r"\frac{x^3}{3}+1", "x^3+C", r"\frac{x^3}{3}+Cx", r"\frac{x^2}{3}+C"
        ],
    ),
    r"e^{-t}\cos t": (
        [r"\frac{\cos t}{e^t}", r"\cos(t)e^{-t}", r"\exp(-t)\cos(t)"],
        [r"e^{-t}\sin t", r"e^t\cos t", r"e^{-t\cos t}", r"e^{-t}\cos x", r"\cos t"],
    ),
    "y'=2y": (
        ["y'=2y", "y' = 2 y", "y'-2y=0"],
        ["y=2y'", "y''=2y", "y'=2x", "y=2y", "y'=-2y"],
    ),
    r"\frac{dy}{dx}=3x": (
        ["3x", r"\frac{dy}{dx} = 3x"],
        [r"\frac{dx}{dy}=3x", r"\frac{dy}{dx}=3y", "3", r"\frac{dy}{dx}"],
    ),
    r"\frac{1}{52}": (
        ["1/52", r"\frac{1}{52}"],
        ["0.019", "52", "1:51", "0.0192", r"1.92\%", r"\frac{1}{51}", r"1/52\%"],
    ),
    r"\frac{5}{36}": (
        ["0.138888...", r"13.888\ldots\%", "0.1388888889", r"\frac{10}{72}"],
        ["0.139", "0.14", r"13.9\%", r"\frac{36}{5}", r"\frac{5}{6}"],
    ),
    "x>=2": (
        [r"x\ge 2", r"x \geq 2", "2<=x", r"[2,\infty)"],
        [
            "x>2", "x=>3", "x<=2", "2", "x=2", r"(2,\infty)", r"[2,\infty]\cup[0,1]", r"x\ge2,x<100"
        ],
    ),
    "x<-1 or x>1": (
        ["x>1 or x<-1", r"(-\infty,-1)\cup(1,\infty)"],
        [
            "-1<x<1", "x<-1", "x>1", "x<-1 and x>1", r"x\ne\pm1", "|x|<1", r"(-\infty,-1]\cup[1,\infty)",
            r"\mathbb{R}"
        ],
    ),
    r"1\le x\le 3, x\ne 2": (
        [r"[1,2)\cup(2,3]", r"1\le x<2\text{ or }2<x\le3"],
        ["[1,3]", r"1\le x\le3", r"x\ne2", r"(1,2)\cup(2,3)"],
    ),
    r"\text{3 and 5}": (
        ["3,5", "5,3", "3 and 5"],
        ["3", "8", "15", "35", r"(3,5)\cup(5,6)"],
    ),
    r"2\text{ or }3": (
        ["3 or 2", "2,3"],
        ["2", "3", "5", "23", "2/3"],
    ),
    r"\text{Sunday, March 4}": (
        ["Sunday, March 4"],
        ["Sunday", "March 4", "Sunday, March 5", "March 4, Monday"],
    ),
    "1/2 hour": (
        ["30 minutes", "0.5 hours", r"\frac12\text{ hour}"],
        ["2 hours", "30 hours", "1/2 minute", r"\frac12\text{ day}"],
    ),
    r"4\text{ hours }30\text{ minutes}": (
        ["4.5 hours", "270 minutes", "4 h 30 min", r"4\text{ hr }30\text{ min}"],
        ["4:30", "4.3 hours", "4 hours", "30 minutes", "4 hours 3 minutes", "430"],
    ),
    "7:05": (
        ["07:05"],
        ["7.05", "7:50", "7:5", "705", "7/5"],
    ),
    r"6\text{ feet }2\text{ inches}": (
        ["74 inches", "6 ft 2 in"],
        ["6.2 feet", "62 inches", "8 feet", "6 feet"],
    ),
    r"30\text{ square units}": (
        ["30", r"30\text{ units}^2", "30 sq units"],
        [r"30\text{ square cm}, 5", "15", r"30\pi"],
    ),
    r"12\pi\text{ cm}^2": (
        [
            r"12\pi", r"37.6991\text{ cm}^2", r"12\pi\text{ square centimeters}",
            r"12 \pi \mathrm{~cm}^2"
        ],
        [r"12\pi\text{ cm}", r"12\text{ cm}^2", r"36\text{ cm}^2", r"12\pi\text{ m}^2", "37.7"],
    ),
    r"2\sqrt{3}\text{ m}": (
        [r"2\sqrt3", r"200\sqrt3\text{ cm}", r"\sqrt{12}\text{ meters}"],
        [r"2\sqrt3\text{ cm}", r"2\text{ m}", r"2\sqrt3\text{ m}^2", r"3.46\text{ m}"],
    ),
    r"2\le x<5": (
        ["2 ≤ x < 5", "5 > x ≥ 2", "[2, 5)"],
        ["2 < x ≤ 5", "2 ≤ x ≤ 5", "2 ≥ x > 5"],
    ),
    r"\pi r^2": (
        ["πr²", r"r^2\pi", r"\pi r\cdot r", r"\pi\,r^{2}"],
        ["πr", "2πr", r"\pi R^2", "πd²", r"\pi^2 r", r"\pi r2", "3.14r^2", r"\pi r^2 h"],
    ),
    "α+β": (
        [r"\alpha+\beta", "β+α"],
        ["a+b", r"\alpha-\beta", r"\alpha\beta", "α+b"],
    ),
    "2000": (
        ["2 thousand", "2,000", r"2\times10^3", "20 hundred"],
        ["2", "2 million", "200", "20,00", "two thousand"],
    ),
    "0.25 million": (
        ["250000", "250 thousand"],
        ["0.25", "25 million", "2500000"],
    ),
    r"1\frac{1}{2}\text{ dozen}": (
        ["18"],
        ["1.5", "12", r"1\frac12"],
    ),
    r"3\text{ dozen}": (
        ["36", "3 dozens"],
        ["3", "30", "12"],
    ),
    r"\{(1,2),(2,1)\}": (
        ["(1,2),(2,1)", r"\{(2,1),(1,2)\}", r"(2,1) \text{ and } (1,2)"],
        ["(1,2)", "(1,2,2,1)", r"\{1,2\}", r"\{(1,2)\}", "(1,1),(2,2)", "(1,2),(1,2)"],
    ),
    r"\{\{1\},\{2,3\}\}": (
        [r"\{\{3,2\},\{1\}\}"],
        [r"\{1,2,3\}", r"\{\{1,2\},\{3\}\}", r"\{1\},\{2,3\},\{4\}"],
    ),
    r"\{1,3,5,7,9\}": (
        ["1,3,5,7,9", r"\{9,7,5,3,1\}"],
        [r"\{1,3,5,7\}", r"\{1,3,\ldots,9\}", r"\{1,2,3,5,7,9\}", "[1,9]", r"\{2n+1\}"],
    ),
    r"\mathbb{Z}": (
        [r"\mathbb{Z}", r"x\in\mathbb{Z}"],
        [
            r"\mathbb{R}", r"\mathbb{N}", r"\mathbb{Z}^+", "Z", r"\{0\}", r"\mathbb{Z}\setminus\{0\}"
        ],
    ),
    r"\mathbb{Z}^+": (
        [r"\mathbb{Z}^+"],
        [r"\mathbb{Z}", r"\mathbb{R}^+", r"\mathbb{Z}^-"],
    ),
    "(-2)^3": (
        ["-8", "-2^3"],
        ["8", "-6", "2^3"],
    ),
    "-3^2": (
        ["-9"],
        ["9", "(-3)^2"],
    ),
    "4^{-1}": (
        [r"\frac14", "0.25"],
        ["-4", "4", r"\frac41"],
    ),
    "8^{2/3}": (
        ["4", r"\sqrt[3]{64}"],
        ["16", r"8\cdot\frac23", r"\frac{64}{3}", "2"],
    ),
    "10^{100}": (
        [r"10^{99}\cdot10", "(10^{10})^{10}", "100^{50}"],
        ["10^{10}", "10^{99}", "100^{10}", "10^{1000}", "googol", r"\infty", "1000"],
    ),
    r"\frac{2^{10}-1}{2^{10}}": (
        ["1-2^{-10}", r"\frac{1023}{1024}", "0.9990234375"],
        ["1", "0.999", "1-2^{-9}", r"\frac{1024}{1023}"],
    ),
    r"1-\left(\frac{5}{6}\right)^{20}": (
        ["1-(5/6)^{20}", "0.97392"],
        [
            r"\left(\frac56\right)^{20}", "1", r"1-\frac{5^{20}}{6}", "0.974",
            r"1-\left(\frac{5}{6}\right)^{19}"
        ],
    ),
    r"\frac{\binom{5}{2}}{\binom{10}{3}}": (
        [r"\frac{1}{12}", r"\frac{10}{120}"],
        [r"\binom{5}{2}", r"\frac{5}{10}", r"\frac{2}{3}"],
    ),
    r"\sqrt{2+\sqrt{3}}": (
        [r"\frac{\sqrt6+\sqrt2}{2}", r"\sqrt{2+\sqrt3}"],
        [r"\sqrt{2}+\sqrt{3}", r"\sqrt{5}", r"\sqrt{2\sqrt3}", r"\sqrt{2-\sqrt{3}}", "1.93"],
    ),
    r"\frac{1}{1+\sqrt2}": (
        [r"\sqrt2-1", "0.41421"],
        [r"1+\sqrt2", r"\frac{1}{1-\sqrt2}", r"1-\sqrt2", "0.41", "0.414"],
    ),
    r"\tan 15^\circ": (
        [r"2-\sqrt3", "0.26795"],
        [r"2+\sqrt3", r"\tan 15", r"\tan 75^\circ"],
    ),
    r"\arctan\frac{3}{4}": (
        [r"\tan^{-1}(3/4)", r"\arcsin\frac35", "0.6435"],
        [r"\arctan\frac43", r"\tan\frac34", r"\frac{3}{4}", r"36.87^\circ", "0.64"],
    ),
    r"\frac{\pi}{4}+k\pi, k\in\mathbb{Z}": (
        [r"\frac{\pi}{4}+k\pi", r"x=\frac{\pi}{4}+k\pi \text{ where } k \in \mathbb Z"],
        [
            r"\frac{\pi}{4}", r"k\in\mathbb{Z}", r"\frac{\pi}{4}+2k\pi, k\in\mathbb{Z}",
            r"\frac{\pi}{4}+k\pi, k\in\mathbb{R}"
        ],
    ),
    "x<-1, x>1": (
        ["x<-1 or x>1", r"(-\infty,-1)\cup(1,\infty)"],
        [r"\emptyset", "x<-1 and x>1", "-1<x<1"],
    ),
    "x>1, y<0": (
        ["x>1 and y<0"],
        ["x>1, z<0", "y>1, x<0", "x>1"],
    ),
    "x>1 and y<0": (
        ["x>1, y<0"],
        ["x>1 or y<0"],
    ),
    "5": (
        [
            "answer = 5", r"5\text{ kgs}", r"5\text{.}", r"\mathbf{n}=5", "|A|=5", r"5\,\mathrm{J\cdot s}",
            r"5\,\mathrm{kg\,m^{2}\,s^{-2}}", r"5\frac{m}{s}", r"5\text{ ordered pairs}",
            r"5\text{ years old}"
        ],
        [
            r"5\text{M}", r"5\text{B}", r"5\text{ K dollars}", r"5\mathrm{K}\text{ people}", r"\$5\text{K}",
            r"€5\text{M}", "|x|=5", r"5\text{ base }8", r"5\frac{m}{n}",
            "x is not = 5", "anything but 5 = 5", r"\neg a=5", r"\not x=5", r"x\not=5", r"x \neq 5",
            "5=not", r"5\text{ or less}", "5^{+}", "5^{-}", "5^+", "5_+"
        ],
    ),
    "6": (
        [],
        ["{2}{3}"],
    ),
    "15": (
        [],
        ["3{5}"],
    ),
    r"\frac{x}{2}": (
        [r"\frac{1}{2}{x}"],
        [],
    ),
    r"(0,\infty)": (
        [r"\mathbb{R}^+", r"\mathbb{R}_{>0}"],
        [r"\mathbb{R}", r"\mathbb{R}_{\ge0}", r"\mathbb{Z}^+", r"\mathbb{R}^-"],
    ),
    "(1,2)": (
        ["y=2,x=1"],
        ["y=1,x=2"],
    ),
    "a=2, a=3": (
        ["a=2,3", "a=3 or a=2"],
        [r"\neg a=2, a=3", "b=2, b=3"],
    ),
    r"\text{Area}=12": (
        ["12", r"\text{Area}=12"],
        [r"\text{Perimeter}=12", "13"],
    ),
    r"50\text{ mi/h}": (
        ["50 mph", r"50\text{ miles per hour}"],
        ["50 mi", "50 h", r"50\text{ h/mi}"],
    ),
    r"1.2\text{ g/cm}^3": (
        ["1.2 g/cm^3", r"1200\text{ kg/m}^3", "1.2"],
        [r"1.2\text{ kg/m}^3", r"1.2\text{ g/cm}^2"],
    ),
    r"6.67\times10^{-11}\text{ N m}^2/\text{kg}^2": (
        ["6.67e-11"],
        ["6.67e-10", "6.7e-11"],
    ),
    r"0.25\text{ cm}": (
        ["0.25", "2.5 mm", "1/4 cm"],
        ["0.25 mm", "2.5 cm", "0.25 m", r"25\%"],
    ),
    r"20\%\text{ increase}": (
        [r"20\%\text{ increase}"],
        [r"20\%\text{ decrease}", r"-20\%"],
    ),
    r"\frac{\frac{1}{2}}{3}": (
        [r"\frac16", "1/6"],
        [r"\frac{1}{\frac23}", r"\frac{3}{2}"],
    ),
    r"\sqrt{\frac{2}{3}}": (
        [r"\frac{\sqrt2}{\sqrt3}", r"\frac{\sqrt6}{3}", r"\sqrt{2/3}"],
        [r"\frac{\sqrt2}{3}", r"\frac{2}{3}", r"\sqrt{2}/3", r"\sqrt\frac{3}{2}"],
    ),
    r"\frac{1}{2}\ln 3": (
        [r"\ln\sqrt3", r"\frac{\ln3}{2}", r"\ln(3)/2", "0.5493"],
        [r"\ln\frac32", r"\frac12\log3", r"\ln 3^2", r"\ln\frac{3}{2}"],
    ),
    "a^{m+n}": (
        ["a^m a^n", "a^{n+m}"],
        ["a^m+a^n", "a^{mn}", "(a^m)^n"],
    ),
    r"\frac{-b\pm\sqrt{b^2-4ac}}{2a}": (
        [
            r"\frac{-b+\sqrt{b^2-4ac}}{2a},\frac{-b-\sqrt{b^2-4ac}}{2a}",
            r"-\frac{b}{2a}\pm\frac{\sqrt{b^2-4ac}}{2a}"
        ],
        [
            r"\frac{-b+\sqrt{b^2-4ac}}{2a}", r"\frac{b\pm\sqrt{b^2-4ac}}{2a}",
            r"-b\pm\frac{\sqrt{b^2-4ac}}{2a}"
        ],
    ),
    r"[0,2\pi)": (
        [r"0\le\theta<2\pi", r"0 \leq x < 2\pi"],
        [r"[0,2\pi]", r"(0,2\pi)", r"[0,360^\circ)", r"[0,\pi)"],
    ),
    r"\left(-\frac{\pi}{2},\frac{\pi}{2}\right)": (
        [r"-\frac\pi2<x<\frac\pi2", r"(-\pi/2,\pi/2)"],
        [
            r"[-\pi/2,\pi/2]", r"(-90^\circ,90^\circ)", r"(\frac\pi2,-\frac\pi2)", r"\pm\frac\pi2"
        ],
    ),
    r"(2,\frac{5\pi}{6})": (
        [r"(2,5\pi/6)", r"r=2,\theta=\frac{5\pi}{6}"],
        [
            r"(\frac{5\pi}{6},2)", r"(2,150^\circ)", r"(-2,\frac{5\pi}{6})", r"(2,-\frac{5\pi}{6})",
            r"2e^{5\pi i/6}"
        ],
    ),
    "(0,0),(1,1),(-1,1)": (
        ["(1,1),(0,0),(-1,1)"],
        ["(0,0),(1,1)", "(0,0),(1,1),(1,-1)", "(0,0,1,1,-1,1)", "0,1,-1"],
    ),
    "a>0, b<0": (
        ["b<0, a>0", r"a>0\text{ and }b<0"],
        ["a<0, b>0", "a>0", r"a>0\text{ or }b>0", "ab<0"],
    ),
    "|x|<3": (
        ["|x|<3", "3>|x|"],
        ["|x|>3", r"|x|\le3", "x<3", "3"],
    ),
    "x^2<4": (
        ["x^2<4", "4>x^2", "x^2-4<0"],
        ["x^2>4", "x<2", r"x^2\le4", "2"],
    ),
    r"n\ge3": (
        [r"n\geq 3", r"3\le n", r"[3,\infty)"],
        ["n>3", "n=3", r"n\ge 4", "3", r"m\ge3", r"n\ge3, n\ne4", r"n\ge 3\text{ or }n=1"],
    ),
    r"m\ne n": (
        [r"m\neq n"],
        ["m=n", "m>n", r"m\ne0"],
    ),
    "2^{n}-2": (
        ["2(2^{n-1}-1)", "2^n-2"],
        ["2^{n-2}", "2^{n}-1", "2^{n}", "-2+2n", r"2^{n}-2\text{ or }0"],
    ),
    r"\binom{2n}{n}": (
        [r"\frac{(2n)!}{n!n!}", r"\frac{(2n)!}{(n!)^2}"],
        [r"\binom{n}{2n}", r"\frac{2n!}{n!n!}", r"\binom{2n}{n+1}", r"\frac{2n}{n}"],
    ),
    r"\frac{(n+2)!}{n!}": (
        ["(n+1)(n+2)", "n^2+3n+2"],
        ["(n+2)!", "n+2", "2!"],
    ),
    r"3\cdot 2^{n-1}": (
        [r"\frac{3\cdot2^n}{2}", "3(2^{n-1})"],
        ["6^{n-1}", r"3\cdot2^{n}-1", "3+2^{n-1}"],
    ),
    "0.30000000000000004": (
        ["0.30000000000000004"],
        ["0.4", "3"],
    ),
    "27.0": (
        ["27", "27.00", r"27\text{ miles}"],
        ["27.1", "2.7", "270"],
    ),
    "142.0": (
        ["142"],
        ["14.2", "1420", "142.5"],
    ),
    "007": (
        ["7"],
        ["70", "0.07"],
    ),
    "0.1234567890": (
        ["0.123456789"],
        ["0.13"],
    ),
    r"\text{5 dollars and 25 cents}": (
        ["5 dollars and 25 cents"],
        ["5.26", "525 dollars"],
    ),
    r"\text{four}": (
        ["four", "Four"],
        ["5", "fourteen"],
    ),
    r"\text{twelve}": (
        ["Twelve"],
        ["12 or 13", "twelfth"],
    ),
    r"3\text{ to }1": (
        ["3 to 1"],
        ["1 to 3", "3"],
    ),
    r"1:\sqrt{3}:2": (
        [r"\frac12:\frac{\sqrt3}{2}:1", r"2:2\sqrt3:4"],
        [r"1:2:\sqrt3", r"\sqrt3:1:2", "1:3:4", r"1:\sqrt3"],
    ),
    r"10\%, 20\%": (
        [r"20\%,10\%", "10,20", "0.1,0.2"],
        ["10%,2%", "1,2", "0.1,20.5", r"10\text{ cm},20\text{ cm}"],
    ),
    r"\$5, \$10": (
        ["5,10", "$10, $5"],
        [r"5\%,10\%", "5,1", "15"],
    ),
    "0.5, 0.25": (
        [r"50\%,25\%", "1/2,1/4"],
        [r"0.5\%,0.25\%"],
    ),
    "(0.5,0.25)": (
        ["(1/2,1/4)"],
        ["(0.25,0.5)", "(50,25)"],
    ),
    "1,000": (
        ["1000"],
        ["1,0", "0,1000", "1"],
    ),
    "1,000,000": (
        ["1000000", "10^6"],
        ["1,000", "1,0,0"],
    ),
    "0,1": (
        ["1,0", "0, 1"],
        ["01", "0.1", "10"],
    ),
    "0,100": (
        ["100,0", "0, 100"],
        ["100", "0", "0100"],
    ),
    "12,345": (
        ["12345"],
        ["12,345,0", "12.345"],
    ),
    r"x>0 \text{ or } x<-5": (
        ["x<-5 or x>0", r"(-\infty,-5)\cup(0,\infty)"],
        ["x>0 and x<-5", "x>0", "x<-5", "-5<x<0"],
    ),
    r"x\ge1\text{ and }x\le3": (
        [r"1\le x\le3", "[1,3]", r"x\ge1,x\le3"],
        [r"x\ge1 or x\le3", "1<x<3", r"\mathbb{R}"],
    ),
    r"1\text{ and }3": (
        ["1,3", "3 and 1"],
        ["1", "13", "1 to 3"],
    ),
    "t<0": (
        ["0>t", r"(-\infty,0)"],
        [r"t\le0", "t>0", "x<0 or t<0", r"t<0, t\ne-1"],
    ),
    r"\frac{3}{2}\frac{1}{x}": (
        [r"\frac32\frac1x", r"\frac{3}{2x}"],
        [r"\frac{3}{2}x"],
    ),
    r"\sqrt{3}\frac{1}{2}": (
        [r"\frac{\sqrt3}{2}"],
        [r"\sqrt{3\frac12}"],
    ),
    r"2\frac{1}{2}\text{ hours}": (
        ["2.5 hours", "150 minutes", r"\frac52"],
        ["1 hour", "2 hours", r"2\cdot\frac12"],
    ),
    r"5.0\times10^{2}": (
        ["500", "5e2"],
        ["5.02", "50", "501"],
    ),
    "1200.50": (
        ["1200.5", r"\$1200.50"],
        ["1200.51", "1200.49", "1200"],
    ),
    "0.10": (
        ["0.1", "1/10"],
        ["0.11", "0.09", "0.104"],
    ),
    "100.00": (
        ["100"],
        ["100.01", "99.99", "100.004"],
    ),
    "3.1400": (
        ["3.14"],
        [r"\pi", "3.1401", "3.1399"],
    ),
    "x=1, y=2, z=3": (
        ["(1,2,3)", "z=3,y=2,x=1"],
        ["(3,2,1)", "x=1,y=2", "x=1,y=3,z=2", "1,3,2"],
    ),
    "(a,b)=(2,3)": (
        ["a=2,b=3", "(2,3)", "b=3,a=2"],
        ["a=3,b=2", "(3,2)", "b=2,a=3"],
    ),
    "y=x^2, y=-x^2": (
        [r"y=\pm x^2"],
        ["y=x^2", "y=-x^2"],
    ),
    r"4\pm\sqrt{2}": (
        [r"4+\sqrt2,4-\sqrt2"],
        [r"4+\sqrt2", r"-4\pm\sqrt2", r"4\pm2", r"\sqrt2\pm4"],
    ),
    r"\{x: x>2\}": (
        ["x>2", r"(2,\infty)"],
        ["x<2", "2", r"\{2\}", r"\{y: y>2, z>0\}"],
    ),
    r"\mathbb{R}\setminus\{0,1\}": (
        [r"(-\infty,0)\cup(0,1)\cup(1,\infty)"],
        [r"\mathbb{R}\setminus\{0\}", "(0,1)", r"x\ne0"],
    ),
    "52_8": (
        [r"52\text{ base }8", r"52_{\text{base } 8}", r"52 \text{ (base 8)}"],
        [r"52\text{ base }7", r"42\text{ base }10"],
    ),
    "AB_{16}": (
        [r"\text{AB}_{16}"],
        [r"\text{BA}_{16}"],
    ),
    "SRMC=LRMC": (
        ["LRMC=SRMC"],
        ["LRMC", "SRMC"],
    ),
    "AB=CD": (
        ["CD=AB"],
        ["CD", "AB"],
    ),
    r"\{1\pm\sqrt{5},-2\}": (
        [r"-2,1\pm\sqrt5", r"\{-2,1-\sqrt{5},1+\sqrt{5}\}", r"x=\{1\pm\sqrt5,-2\}"],
        [r"\{1+\sqrt5,-2\},\{1-\sqrt5,-2\}", r"1\pm\sqrt5"],
    ),
    r"\{-1\},\{1\}": (
        [],
        [r"\{1\},\{1\}"],
    ),
    "1,-1,7,-7": (
        [r"\{\pm1,\pm7\}"],
        [r"\{\pm1,7\}"],
    ),
    r"(-\infty,0)\cup\{1\}": (
        [r"x<0\text{ or }x=1"],
        ["x<0, x=1", r"x<0\text{ or }x=2", r"x<0\text{ or }y=1"],
    ),
    "2400, 1350, 864": (
        ["2,400, 1,350, 864"],
        ["2,400, 1,350"],
    ),
    r"928^\circ\text{C}": (
        [r"928\text{ °C}"],
        [r"928\text{ °F}"],
    ),
    r"560\text{ nm}": (
        [r"5600\ \AA"],
        [r"560\ \AA"],
    ),
    r"45^\circ": (
        [],
        ["45''"],
    ),
    r"\lambda_{\text{red}}": (
        [r"\lambda_{red}"],
        [r"\lambda_{blue}", r"\lambda"],
    ),
    "f(n)=n": (
        [r"f(n)=n\text{ for all }n", r"f(n)=n\text{ for all }n\in\mathbb{N}"],
        [r"f(n)=n\text{ for all }n>1"],
    ),
    "y'+ry=rx(t)": (
        ["y'+r y-r x(t)=0"],
        ["y'+ry=rx"],
    ),
    r"\arcsin x": (
        [r"\operatorname{arcsin}(x)", r"\mathrm{arcsin}\,x"],
        [],
    ),
    r"\begin{pmatrix}2\\5\end{pmatrix}": (
        [r"\mathbf{v}=\begin{pmatrix}2\\5\end{pmatrix}"],
        [],
    ),
    "ad-bc": (
        [r"\begin{vmatrix}a&b\\c&d\end{vmatrix}"],
        [],
    ),
}  # fmt: skip
