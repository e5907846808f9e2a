namespace ModelSdk.Manifest.Tests;

public class EquatableArrayTests
{
    [Fact]
    public void Lists_are_equal_by_their_items()
    {
        var list = new EquatableArray<string>(["a", "b"]);

        Assert.True(list == new EquatableArray<string>(["a", "b"]));
        Assert.True(list != new EquatableArray<string>(["b", "a"]));
        Assert.True(list != new EquatableArray<string>(["a"]));
        Assert.Equal(list.GetHashCode(), new EquatableArray<string>(["a", "b"]).GetHashCode());
        Assert.Equal("[a, b]", list.ToString());
    }

    [Fact]
    public void The_default_is_empty_and_equal_to_empty()
    {
        EquatableArray<int> empty = default;

        Assert.Equal(new EquatableArray<int>([]), empty);
        Assert.Equal(new EquatableArray<int>([]).GetHashCode(), empty.GetHashCode());
        Assert.Empty(empty);
    }

    [Fact]
    public void A_list_is_a_copy()
    {
        string[] items = ["a"];
        var list = new EquatableArray<string>(items);
        items[0] = "b";

        Assert.Equal("a", list[0]);
    }
}
