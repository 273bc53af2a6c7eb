"""What people say."""

QUESTIONS = (
    "Hai, terima kasih sudah mau dengar.",
    "Saya susah tidur akhir-akhir ini.",
    "Menurut kamu gimana?",
    "I keep thinking about it at night.",
    "Sometimes I do not know where to begin.",
    "Boleh cerita sedikit lagi?",
    "It helps to write it down.",
)
ANSWERS = (
    "Aku di sini, pelan-pelan saja.",
    "Terima kasih sudah cerita.",
    "That sounds heavy. What was the hardest part?",
    "Masuk akal kalau kamu merasa begitu.",
    "Take your time.",
    "Apa yang biasanya membantu?",
)
GOODBYES = (
    "Terima kasih, sampai jumpa.",
    "Thank you. Take care.",
    "Senang ngobrol sama kamu. Jaga diri ya.",
)
