namespace MathTutor.Recipe.World;

/// <summary>Greetings and questions about the tutor itself, with short replies.</summary>
internal static class SmallTalk
{
    private static readonly string[] Ends = ["", "!", ".", " there!", " tutor!", " friend!"];

    private static readonly (string[] Openings, string[] Ends, string Reply)[] Exchanges =
    [
        (["Hello", "Hi", "Hey", "Good morning", "Good evening", "Good day", "Hello again", "Hi again"], Ends, "Hello! Give me a word problem about amounts."),
        (["Bye", "Goodbye", "Good night", "See you", "See you later", "Bye for now"], Ends, "Goodbye! Come back with more problems."),
        (["Thanks", "Thank you", "Many thanks", "Thanks a lot", "Thank you so much", "Great, thanks"], Ends, "You are welcome!"),
        (["Who are you", "What are you", "What is your name", "Tell me who you are"], ["?", " please?", ", tutor?", " now?"], "I am a small math tutor."),
        (["What can you do", "How can you help", "What do you do", "Can you help me", "Please help me"], ["?", ".", " now?", ", tutor?"], "I solve word problems about amounts."),
        (["How are you", "How do you do", "How is it going", "Are you well"], ["?", " today?", " now?", ", tutor?"], "I am fine. Shall we count something?"),
        (["Tell me a joke", "Sing a song", "What is the weather", "Write a poem", "Tell me a story"], [".", "?", " please.", " now."], "I can only count. Give me a word problem."),
        (["You are great", "Well done", "Good work", "That was right", "Nice answer"], Ends, "Thank you! Shall we go on?"),
        (["That was wrong", "Are you sure", "I think you are wrong", "That is not right"], ["?", ".", "!", ", tutor."], "Ask me to think, then I check each step."),
    ];

    /// <summary>All exchanges: what the user says and the reply.</summary>
    public static IReadOnlyList<(string User, string Reply)> All { get; } =
        [.. Exchanges.SelectMany(e => e.Openings.SelectMany(o => e.Ends.Select(end => (o + end, e.Reply))))];
}
